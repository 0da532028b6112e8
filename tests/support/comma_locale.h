/* SPDX-License-Identifier: BSD-3-Clause */
/* comma_locale.h - a locale with a decimal comma. */
#ifndef LOOM_TESTS_SUPPORT_COMMA_LOCALE_H
#define LOOM_TESTS_SUPPORT_COMMA_LOCALE_H

#include <clocale>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace loom
{

/* Made and set; false where its sources (Debian: locales) are not installed. */
inline bool set_comma_locale()
{
    char folder[] = "/tmp/parloom-test-locale-XXXXXX";
    if (mkdtemp(folder) == nullptr) return false;
    std::string made = std::string(folder) + "/de_DE.UTF-8";
    std::string make = "localedef --no-archive -i de_DE -f UTF-8 " + made + " >/dev/null 2>&1";
    (void)std::system(make.c_str()); /* warnings count as failure there; what matters is whether it can be set */
    setenv("LOCPATH", folder, 1);
    bool is_set = setlocale(LC_NUMERIC, "de_DE.UTF-8") != nullptr;
    std::filesystem::remove_all(folder);
    return is_set;
}

} // namespace loom

#endif
