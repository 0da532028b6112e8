/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module.h - a shared object that is compiled when a test asks for it, opened, and gone with the test.
 */
#ifndef LOOM_TESTS_SUPPORT_MODULE_H
#define LOOM_TESTS_SUPPORT_MODULE_H

#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <string>
#include <unistd.h>

namespace loom
{

class Module
{
  public:
    explicit Module(const std::string &source, const std::string &flags = "-g")
    {
        char name[] = "/tmp/parloom-test-XXXXXX";
        if (mkdtemp(name) == nullptr) return;
        folder_ = name;
        std::ofstream(folder_ + "/module.c") << source << "\n";
        std::string command =
            "cc -O1 -fPIC -shared -Wl,--build-id " + flags + " -o " + path() + " " + folder_ + "/module.c 2>/dev/null";
        if (std::system(command.c_str()) == 0) handle = dlopen(path().c_str(), RTLD_NOW | RTLD_LOCAL);
    }
    ~Module()
    {
        if (handle != nullptr) dlclose(handle);
        if (folder_.empty()) return;
        unlink(path().c_str());
        unlink((folder_ + "/module.c").c_str());
        rmdir(folder_.c_str());
    }
    Module(const Module &) = delete;
    Module &operator=(const Module &) = delete;

    bool is_built() const { return handle != nullptr; }
    void *symbol(const char *name) const { return dlsym(handle, name); }
    std::string path() const { return folder_ + "/module.so"; }

    void *handle = nullptr;

  private:
    std::string folder_;
};

} // namespace loom

#endif
