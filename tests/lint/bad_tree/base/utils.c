/* No licence line, a name that says nothing, and a folder without README. */
