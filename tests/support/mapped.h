/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped.h - which file the bytes at an address are mapped from: shared memory counts as memmap, but is no file. */
#ifndef LOOM_TESTS_SUPPORT_MAPPED_H
#define LOOM_TESTS_SUPPORT_MAPPED_H

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace loom
{

/* Its path; "": memory without a file, or none. */
inline std::string mapped_file(const void *data)
{
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line)) {
        std::istringstream words(line);
        std::string permissions, offset, device, inode, path;
        uintptr_t begin = 0, end = 0;
        char dash = 0;
        words >> std::hex >> begin >> dash >> end >> permissions >> offset >> device >> inode >> std::ws;
        std::getline(words, path);
        uintptr_t at = reinterpret_cast<uintptr_t>(data);
        if (at >= begin && at < end) return path;
    }
    return "";
}

} // namespace loom

#endif
