"""Code as users write it, for type checkers: `make types` checks it with the packages, `make test-all` against the wheel."""
