"""The guidelines of this repository: medicine that knows no HTTP. Each is a package, found by its entry point."""
