/* SPDX-License-Identifier: BSD-3-Clause */
#include <parloom/parloom.h>

#include <stdio.h>

struct node {
    struct node *next;
    int value, square;
};

static int square_all(const parloom_task *task, void *const *args)
{
    struct node *const *lists = args[0];
    for (struct node *node = lists[task->index]; node != NULL; node = node->next)
        node->square = node->value * node->value;
    return 0;
}

int main(void)
{
    struct node *lists[3] = { NULL };
    parloom_error error;
    for (int k = 0; k < 9; k++) {
        struct node *node = parloom_alloc(sizeof *node, &error);
        if (node == NULL) return 1;
        *node = (struct node){ lists[k % 3], k, 0 };
        lists[k % 3] = node;
    }
    parloom_arg args[] = { parloom_in(lists, sizeof lists) }; /* the pointers are copied, what they point to is not */
    if (parloom_for(3, square_all, args, 1, PARLOOM_OPTIONS(.n_jobs = 2), &error) != PARLOOM_OK) return 1;
    for (int k = 0; k < 3; k++) {
        for (struct node *node = lists[k]; node != NULL; node = node->next) printf("%d ", node->square);
        printf("\n");
    }
    return 0; /* the memory ends with the program, at the latest */
}
