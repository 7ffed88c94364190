"""Documents and what is said about them: submissions, content, lifecycle. Subjects that several transactions share."""
