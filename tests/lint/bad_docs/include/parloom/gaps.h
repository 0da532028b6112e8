/*
 * Says nothing of threads, and names an example that does not exist.
 *
 * Returns: nothing.
 * Errors:  none.
 * Blocks:  never.
 * Since:   0.1
 * Example: examples/99_nowhere.c
 */
void parloom_half_documented(void);

void parloom_undocumented(void);
