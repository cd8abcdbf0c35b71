"""Golden requests: what goes out for each family and each capability, written down on pages that the tests hold true."""
