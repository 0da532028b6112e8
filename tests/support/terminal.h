/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * terminal.h - stderr as something else for a while: a terminal of 80 columns, or a socket that keeps writes apart.
 *
 *     loom::Terminal terminal;
 *     ... what writes to stderr ...
 *     EXPECT_EQ(terminal.text(), "...");
 */
#ifndef LOOM_TESTS_SUPPORT_TERMINAL_H
#define LOOM_TESTS_SUPPORT_TERMINAL_H

#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include <vector>

namespace loom
{

class Stderr
{
  public:
    Stderr(const Stderr &) = delete;
    Stderr &operator=(const Stderr &) = delete;

  protected:
    Stderr() : saved_(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {}
    ~Stderr()
    {
        dup2(saved_, STDERR_FILENO);
        close(saved_);
        if (read_ >= 0) close(read_);
    }
    void replace(int read_end, int write_end)
    {
        read_ = read_end;
        dup2(write_end, STDERR_FILENO);
        close(write_end);
    }
    /* One read; what was written arrives at once or a moment later. */
    std::string take()
    {
        char block[4096];
        pollfd ready = { read_, POLLIN, 0 };
        ssize_t n = poll(&ready, 1, 20000) == 1 ? read(read_, block, sizeof block) : 0;
        return n > 0 ? std::string(block, static_cast<size_t>(n)) : std::string();
    }
    void mark() { (void)!write(STDERR_FILENO, "\001", 1); }

  private:
    int saved_, read_ = -1;
};

/* Raw: bytes arrive as they were written. */
class Terminal : public Stderr
{
  public:
    explicit Terminal(const char *kind = "xterm", unsigned short columns = 80)
    {
        int master, slave;
        termios raw;
        winsize size = { 25, columns, 0, 0 };
        cfmakeraw(&raw);
        if (openpty(&master, &slave, nullptr, nullptr, &size) != 0) abort();
        tcgetattr(slave, &raw);
        cfmakeraw(&raw);
        tcsetattr(slave, TCSANOW, &raw);
        fcntl(master, F_SETFD, FD_CLOEXEC);
        replace(master, slave);
        setenv("TERM", kind, 1);
        setenv("LC_ALL", "C", 1);
    }
    void resize(unsigned short columns)
    {
        winsize size = { 25, columns, 0, 0 };
        ioctl(STDERR_FILENO, TIOCSWINSZ, &size);
    }
    /* All that was written since the last time. */
    std::string text()
    {
        std::string all;
        mark();
        while (all.empty() || all.back() != '\001') {
            std::string more = take();
            if (more.empty()) return all + "(no mark)";
            all += more;
        }
        all.pop_back();
        return all;
    }
};

class Writes : public Stderr
{
  public:
    Writes()
    {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
        replace(ends[0], ends[1]);
    }
    /* What was written since the last time, one by one. */
    std::vector<std::string> all()
    {
        std::vector<std::string> writes;
        mark();
        for (std::string one = take(); one != "\001" && !one.empty(); one = take()) writes.push_back(one);
        return writes;
    }
};

} // namespace loom

#endif
