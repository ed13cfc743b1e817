"""Plain American English: banned phrases and proselint over everything that people read (make lint)."""
