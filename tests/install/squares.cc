/* SPDX-License-Identifier: BSD-3-Clause */
/* squares.cc - a first program in C++: squares on the backend that is named on the command line. */
#include <parloom/parloom.h>

#include <iostream>
#include <vector>

static int square(const parloom_task *task, void *const *args)
{
    static_cast<double *>(args[0])[task->index] = static_cast<double>(task->index * task->index);
    return 0;
}

int main(int argc, char **argv)
{
    std::vector<double> squares(100);
    parloom_error error;
    parloom_options options = PARLOOM_OPTIONS_INIT;
    options.backend = argc > 1 ? argv[1] : nullptr;
    options.n_jobs = 2;
    parloom_arg args[] = { parloom_out(squares.data(), squares.size() * sizeof squares[0]) };
    if (parloom_for(squares.size(), square, args, 1, &options, &error) != PARLOOM_OK) {
        std::cerr << error.message << '\n';
        return 1;
    }
    for (size_t i = 0; i < squares.size(); i++) {
        if (squares[i] != static_cast<double>(i * i)) return 1;
    }
    return 0;
}
