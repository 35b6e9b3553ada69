;;; eglot-tests.el --- fim-lsp in an editor without inline completion  -*- lexical-binding: t; -*-

;; Real Emacs with eglot, the real server and a real model: the entries of the completion menu show what they
;; insert.  Run by tests/editors/run-emacs.sh, which sets FIM_LSP_PYTHON.

;;; Code:

(require 'ert)
(require 'eglot)
(require 'cl-lib)

(defconst fim-lsp-tests--patience 120 "Seconds to wait for the model or a suggestion.")

(defconst fim-lsp-tests--sum "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    ret█"
  "Code with █ at point.")

(setq eglot-server-programs
      `((python-mode . (,(getenv "FIM_LSP_PYTHON") "-m" "fim_lsp" "--stdio"
                        "--model" "smollm2-135m" "--set" "model.threads=1" "--set" "sampling.maxTokens=24"
                        "--set" "completion.eagerness=eager")))
      eglot-sync-connect fim-lsp-tests--patience
      eglot-connect-timeout fim-lsp-tests--patience
      jsonrpc-default-request-timeout fim-lsp-tests--patience
      python-indent-guess-indent-offset nil)

(defmacro fim-lsp-tests--with (marked &rest body)
  "Edit a file of MARKED code with point at █ and a server that is ready, and run BODY."
  (declare (indent 1))
  `(let* ((folder (make-temp-file "fim-lsp-" t))
          (file (expand-file-name "sample.py" folder)))
     (with-temp-file file
       (set-buffer-file-coding-system 'utf-8)
       (insert (replace-regexp-in-string "█" "" ,marked)))
     (let ((buffer (find-file-noselect file)))
       (unwind-protect
           (with-current-buffer buffer
             (python-mode)
             (eglot '(python-mode) (cons 'transient folder) 'eglot-lsp-server
                    (cdar eglot-server-programs) "python")
             (fim-lsp-tests--await-model)
             (goto-char (1+ (string-match "█" ,marked)))
             ,@body)
         (with-current-buffer buffer
           (set-buffer-modified-p nil)
           (eglot-shutdown (eglot-current-server) nil fim-lsp-tests--patience))
         (kill-buffer buffer)
         (delete-directory folder t)))))

(defun fim-lsp-tests--await-model ()
  "Wait until the model is loaded.  A load that a newer one replaced answers before that."
  (let ((tries 0))
    (while (not (equal "ready" (plist-get (jsonrpc-request
                                           (eglot-current-server) :workspace/executeCommand
                                           '(:command "fimLsp.reload") :timeout fim-lsp-tests--patience)
                                          :state)))
      (should (< (cl-incf tries) 5)))))

(defun fim-lsp-tests--entries ()
  "Return the entries of the completion menu at point as plists: what is shown, and the LSP item."
  (eglot--signal-textDocument/didChange)
  (pcase-let* ((`(,start ,end ,table . ,extra) (eglot-completion-at-point))
               (typed (buffer-substring-no-properties start end)))
    (mapcar (lambda (entry)
              (list :label (substring-no-properties entry)
                    :note (substring-no-properties (funcall (plist-get extra :annotation-function) entry))
                    :kind (funcall (plist-get extra :company-kind) entry)
                    :item (get-text-property 0 'eglot--lsp-item entry)
                    :accept (lambda ()
                              (delete-region start end)
                              (insert entry)
                              (funcall (plist-get extra :exit-function) entry 'finished))))
            (all-completions typed table))))

(defun fim-lsp-tests--inserted (entry)
  "Return the text that ENTRY's edit inserts."
  (plist-get (plist-get (plist-get entry :item) :textEdit) :newText))

(ert-deftest fim-lsp-offers-completion-to-a-client-without-inline-completion ()
  (fim-lsp-tests--with fim-lsp-tests--sum
    (should (eglot--server-capable :completionProvider))))

(ert-deftest fim-lsp-entry-has-a-label-a-note-and-a-documentation ()
  (fim-lsp-tests--with fim-lsp-tests--sum
    (let* ((entries (fim-lsp-tests--entries))
           (entry (car entries)))
      (should (= 1 (length entries)))
      (should (string-prefix-p "ret" (plist-get entry :label)))
      (should-not (string-match-p "\n" (plist-get entry :label)))
      (should (equal (plist-get entry :label)
                     (car (split-string (fim-lsp-tests--inserted entry) "\n"))))
      (should (eq 'text (plist-get entry :kind)))
      (should (equal " fim-lsp" (plist-get entry :note)))
      (should (equal (fim-lsp-tests--inserted entry)
                     (plist-get (plist-get entry :item) :documentation))))))

(ert-deftest fim-lsp-entry-inserts-its-text ()
  (fim-lsp-tests--with fim-lsp-tests--sum
    (let* ((entry (car (fim-lsp-tests--entries)))
           (word-start (- (point) (length "ret")))
           (wanted (concat (buffer-substring-no-properties (point-min) word-start)
                           (fim-lsp-tests--inserted entry))))
      (funcall (plist-get entry :accept))
      (should (equal wanted (buffer-substring-no-properties (point-min) (point-max))))
      (should (= (point) (point-max))))))

(ert-deftest fim-lsp-entry-shows-its-first-line-and-inserts-all ()
  (fim-lsp-tests--with "def add(a, b):\n    return a + b\n\n\ndef subtract█"
    (let* ((entry (car (fim-lsp-tests--entries)))
           (text (fim-lsp-tests--inserted entry)))
      (should (string-match-p "\n" text))
      (should (equal (plist-get entry :label) (car (split-string text "\n"))))
      (funcall (plist-get entry :accept))
      (should (string-suffix-p text (buffer-string))))))

(ert-deftest fim-lsp-columns-are-right-after-emoji-and-cjk ()
  (fim-lsp-tests--with "greet(\"Zoë 👋🏽\")\ngreet(\"東京 🎌\")\ngreet(\"Zoë 👋🏽\"); greet(\"東京 🎌\"); gre█"
    (let* ((entry (car (fim-lsp-tests--entries)))
           (before (buffer-substring-no-properties (point-min) (- (point) (length "gre")))))
      (should (string-prefix-p "gre" (plist-get entry :label)))
      (funcall (plist-get entry :accept))
      (should (equal (concat before (fim-lsp-tests--inserted entry)) (buffer-string))))))

(ert-deftest fim-lsp-closers-after-point-are-not-doubled ()
  (fim-lsp-tests--with (concat "names = [\"Ada\", \"Bob\"]\n\n\ndef greet(name):\n"
                               "    print(\"Hello, \" + name)\n\n\nfor name in names:\n    greet(na█)\n")
    (let ((entry (car (fim-lsp-tests--entries))))
      (should entry)
      (funcall (plist-get entry :accept))
      (goto-char (point-min))
      (search-forward "for name in names:\n")
      (let ((line (buffer-substring (point) (line-end-position))))
        (should (= (cl-count ?\( line) (cl-count ?\) line)))))))

;;; eglot-tests.el ends here
