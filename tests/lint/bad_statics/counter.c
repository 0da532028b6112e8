/* Writes two variables of its own, of which the list of this tree has one, and reads a third. */
int count(int by);

static int counted, forgotten;
static const int most = 100;

int count(int by)
{
    forgotten = by;
    counted += by;
    return counted < most ? counted + forgotten : most;
}
