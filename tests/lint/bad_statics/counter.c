/* Writes two variables of its own, of which the list of this tree has one, and reads a third. */
int count(int by);
int remember(int what);

static int counted, forgotten;
static const int most = 100;

int count(int by)
{
    counted += by;
    return counted < most ? counted : most;
}

int remember(int what)
{
    int before = forgotten;
    forgotten = what;
    return before;
}
