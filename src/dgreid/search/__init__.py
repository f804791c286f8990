"""Who is this? An index of images, answers from it as a table, JSON and a page with pictures."""
