/* Uses size_t without saying where it comes from. */
size_t parloom_lonely(void);
