/* Exports a name that no header declares, wants one that does not exist, and misses one that is declared. */
int loom_nowhere(void);
int parloom_kept(void);
int leaked(void);

int parloom_kept(void)
{
    return loom_nowhere();
}

int leaked(void)
{
    return 0;
}
