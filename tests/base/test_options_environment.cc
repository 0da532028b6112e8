// SPDX-License-Identifier: BSD-3-Clause
// The environment is read once in a process, so each test asks a child.
#include "base/log.h"
#include "base/options.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace
{

std::string told;

void keep(int, const char *line, void *)
{
    told += std::string(line) + "\n";
}

using Variables = std::vector<std::pair<const char *, const char *>>;

template <typename Work> int with_environment(const Variables &variables, Work work)
{
    pid_t child = fork();
    if (child == 0) {
        clearenv();
        for (const auto &variable : variables) setenv(variable.first, variable.second, 1);
        told.clear();
        parloom_set_log(keep, nullptr);
        _exit(work());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(OptionsEnvironment, EmptyEnvironmentSetsNothing)
{
    int result = with_environment({}, [] {
        const parloom_options *options = nullptr;
        if (loom_options_environment(&options, nullptr) != PARLOOM_OK) return 1;
        parloom_options unset = PARLOOM_OPTIONS_INIT;
        return std::memcmp(options, &unset, sizeof unset) == 0 && told.empty() ? 0 : 2;
    });
    EXPECT_EQ(result, 0);
}

TEST(OptionsEnvironment, APlaceThatCannotBeIsRefusedByTheNameOfItsVariable)
{
    int result = with_environment({ { "PARLOOM_BIND", "everywhere" } }, [] {
        const parloom_options *options = nullptr;
        parloom_error error;
        if (loom_options_environment(&options, &error) != PARLOOM_ERR_INVALID) return 1;
        return std::strstr(error.message, "PARLOOM_BIND") != nullptr ? 0 : 2;
    });
    EXPECT_EQ(result, 0);
}

TEST(OptionsEnvironment, EveryOptionOfTheTableHasItsVariable)
{
    Variables variables = {
        { "PARLOOM_N_JOBS", "-2" },      { "PARLOOM_BACKEND", "threads" },         { "PARLOOM_BACKEND_PARAMS", "a=1" },
        { "PARLOOM_PREFER", "threads" }, { "PARLOOM_REQUIRE", "sharedmem" },       { "PARLOOM_MAX_NBYTES", "1.5M" },
        { "PARLOOM_MMAP_MODE", "c" },    { "PARLOOM_TEMP_FOLDER", "/var/tmp" },    { "PARLOOM_PRE_DISPATCH", "all" },
        { "PARLOOM_BATCH_SIZE", "3" },   { "PARLOOM_SCHEDULE", "static" },         { "PARLOOM_TASK_TIMEOUT", "0.5" },
        { "PARLOOM_TIMEOUT", "never" },  { "PARLOOM_ON_ERROR", "go_on" },          { "PARLOOM_RETRIES", "2" },
        { "PARLOOM_VERBOSE", "11" },     { "PARLOOM_INNER_MAX_NUM_THREADS", "1" }, { "PARLOOM_LOG", "warning" },
        { "PARLOOM_MAX_CPU_COUNT", "2" }
    };
    int result = with_environment(variables, [] {
        const parloom_options *options = nullptr;
        if (loom_options_environment(&options, nullptr) != PARLOOM_OK) return 1;
        if (!told.empty()) return 2;
        bool texts = !strcmp(options->backend, "threads") && !strcmp(options->backend_params, "a=1") &&
                     !strcmp(options->temp_folder, "/var/tmp") && !strcmp(options->pre_dispatch, "all");
        bool choices = options->prefer == PARLOOM_PREFER_THREADS && options->require == PARLOOM_REQUIRE_SHAREDMEM &&
                       options->mmap_mode == PARLOOM_MMAP_C && options->schedule == PARLOOM_SCHEDULE_STATIC &&
                       options->on_error == PARLOOM_ON_ERROR_GO_ON;
        bool numbers = options->n_jobs == -2 && options->max_nbytes == 3u << 19 && options->batch_size == 3 &&
                       options->task_timeout == 0.5 && options->timeout == -1.0 && options->retries == 2 &&
                       options->verbose == 11 && options->inner_max_num_threads == 1;
        return texts ? choices ? numbers ? 0 : 5 : 4 : 3;
    });
    EXPECT_EQ(result, 0);
}

TEST(OptionsEnvironment, TextsStayWhenTheProgramChangesItsEnvironment)
{
    int result = with_environment({ { "PARLOOM_BACKEND", "threads" } }, [] {
        const parloom_options *options = nullptr;
        loom_options_environment(&options, nullptr);
        std::strcpy(getenv("PARLOOM_BACKEND"), "XXXXXXX");
        setenv("PARLOOM_BACKEND", "processes", 1);
        loom_options_environment(&options, nullptr);
        return std::strcmp(options->backend, "threads") == 0 ? 0 : 1;
    });
    EXPECT_EQ(result, 0);
}

TEST(OptionsEnvironment, BadValueNamesTheVariableEachTime)
{
    int result = with_environment({ { "PARLOOM_N_JOBS", "2.3" } }, [] {
        const parloom_options *options = nullptr;
        for (int i = 0; i < 2; i++) {
            parloom_error error;
            if (loom_options_environment(&options, &error) != PARLOOM_ERR_INVALID) return 1;
            if (!std::strstr(error.message, "PARLOOM_N_JOBS=\"2.3\"")) return 2;
            if (!std::strstr(error.message, "could not convert")) return 3;
        }
        return options ? 4 : 0;
    });
    EXPECT_EQ(result, 0);
}

TEST(OptionsEnvironment, EmptyValueIsUnset)
{
    int result = with_environment({ { "PARLOOM_N_JOBS", "" }, { "PARLOOM_BACKEND", "" } }, [] {
        const parloom_options *options = nullptr;
        if (loom_options_environment(&options, nullptr) != PARLOOM_OK) return 1;
        return options->n_jobs == 0 && !options->backend ? 0 : 2;
    });
    EXPECT_EQ(result, 0);
}

TEST(OptionsEnvironment, UnknownVariableIsToldOnceWithTheLikelyName)
{
    int result = with_environment({ { "PARLOOM_NJOBS", "2" }, { "PARLOOMISH", "x" } }, [] {
        const parloom_options *options = nullptr;
        if (loom_options_environment(&options, nullptr) != PARLOOM_OK) return 1;
        loom_options_environment(&options, nullptr);
        return told == "PARLOOM_NJOBS in the environment is not known and ignored (did you mean PARLOOM_N_JOBS?)\n" ? 0
                                                                                                                    : 2;
    });
    EXPECT_EQ(result, 0);
}

TEST(OptionsEnvironment, UnknownVariableIsToldWhateverItBeginsWith)
{
    for (const char *name : { "PARLOOM_WORKERS", "PARLOOM_WORKER", "PARLOOM_LOG_LEVEL", "PARLOOM_N_JOBSX" }) {
        int result = with_environment({ { name, "4" } }, [name] {
            const parloom_options *options = nullptr;
            if (loom_options_environment(&options, nullptr) != PARLOOM_OK) return 1;
            return told.find(std::string(name) + " in the environment is not known") == 0 ? 0 : 2;
        });
        EXPECT_EQ(result, 0) << name;
    }
}

TEST(OptionsEnvironment, JoblibFolderIsTheFallback)
{
    int result = with_environment({ { "JOBLIB_TEMP_FOLDER", "/var/tmp" } }, [] {
        const parloom_options *options = nullptr;
        if (loom_options_environment(&options, nullptr) != PARLOOM_OK) return 1;
        return std::strcmp(options->temp_folder, "/var/tmp") == 0 ? 0 : 2;
    });
    EXPECT_EQ(result, 0);
    result = with_environment({ { "JOBLIB_TEMP_FOLDER", "/var/tmp" }, { "PARLOOM_TEMP_FOLDER", "/tmp" } }, [] {
        const parloom_options *options = nullptr;
        if (loom_options_environment(&options, nullptr) != PARLOOM_OK) return 1;
        return std::strcmp(options->temp_folder, "/tmp") == 0 ? 0 : 2;
    });
    EXPECT_EQ(result, 0);
}

} // namespace
