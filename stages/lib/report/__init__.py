"""The report: claims, what was measured for and against each, and one page of them."""
