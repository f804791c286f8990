"""Reports: from folders of runs to the tables of a paper, one run against another, and the state of a sweep."""
