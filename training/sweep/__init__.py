"""Search for the recipe that suits a repository and a base."""
