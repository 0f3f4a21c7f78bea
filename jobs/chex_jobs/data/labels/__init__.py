"""Where a cell becomes a label: the words of a task's answers, filters of rows, and several rows of one film."""
