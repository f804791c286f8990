"""One file per data set; ``base`` says what a data set offers."""
