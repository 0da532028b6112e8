/* What this tree says of counter.c. */
static const struct {
    const char *file, *name;
} OWN[] = {
    { "counter.c", "counted" },
};
