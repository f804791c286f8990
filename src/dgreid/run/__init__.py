"""One run: composed, checked, trained, scored and written down."""
