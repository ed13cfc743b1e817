"""The guidelines of this repository: medicine without HTTP. Each is a package, found by its entry point."""
