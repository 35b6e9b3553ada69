"""The files that may hold passwords, keys or tokens. They get no suggestions, and no prompt has them.

:func:`fim_lsp.completion.enabled.matches_file` tells what the patterns mean. Editors get the list from the
server's settings: ``make settings`` writes it into the VS Code extension's manifest.
"""

from __future__ import annotations

FILES_WITH_SECRETS = tuple(
    """
    .env* *.env *.env.* .direnv/** *.pem *.key *.p8 *.pk8 *.p12 *.pfx *.pkcs12 *.jks *.jceks *.bks
    *.keystore *.keytab *.kdbx *.kdb *.psafe3 *.ppk *.ovpn *.gpg *.pgp *.age *.agekey
    *.mobileprovision *.publishsettings wg*.conf id_*. id_*.pub .ssh/** .gnupg/** .password-store/**
    .aws/** .azure/** .oci/** .aliyun/** gcloud/** credentials. *credentials.json *credentials.csv
    *credentials.y*ml *credentials.y*ml.enc *credentials.toml credentials.ini credentials.xml
    credentials.txt credentials.db credentials.tfrc.json *service-account*.json
    *service_account*.json *serviceaccount*.json *firebase-adminsdk*.json client_secret*.json
    google-services.json googleservice-info.plist *-key.json *_key.json key.json secret. secret.y*ml
    secret.json secret.toml secret.txt secret.properties secret.ini *.secret *.secrets .secrets*
    secrets. secrets.y*ml secrets.json* secrets.toml secrets.ini secrets.properties secrets.xml
    secrets.txt secrets.conf secrets.cfg *-secret.y*ml *-secrets.y*ml *.secret.y*ml *.secrets.y*ml
    secrets/*.y*ml secrets/*.json secrets/*.txt local.settings.json vault.y*ml .vault* vault_pass*
    .ansible_vault* *.tfvars* *.tfstate* .terraformrc terraform.rc *.tfrc.json kubeconfig*
    *.kubeconfig .kube/** .docker/config.json .dockercfg .dockerconfigjson auth.json .netrc _netrc
    .authinfo* .pgpass pgpass.conf .my.cnf .mylogin.cnf .npmrc .yarnrc .yarnrc.yml .pypirc pip.conf
    .git-credentials gh/hosts.yml .htpasswd htpasswd .htdigest .s3cfg .boto .passwd-s3fs rclone.conf
    clouds.y*ml *openrc.sh .sentryclirc .cargo/credentials* .gem/credentials .m2/settings*.xml
    .gradle/gradle.properties wp-config.php .*_history etc/shadow*
    """.split()  # noqa: SIM905 - a list of literals would take three times the lines
)
