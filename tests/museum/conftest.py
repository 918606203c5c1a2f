"""The museum is read by tests/test_museum.py; its own files are not collected."""

collect_ignore_glob = ["*.py", "format-*"]
