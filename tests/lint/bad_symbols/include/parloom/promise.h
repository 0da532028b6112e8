int parloom_kept(void);
int parloom_broken(void);
