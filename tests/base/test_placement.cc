/* SPDX-License-Identifier: BSD-3-Clause */
/* Who sits where, computed for machines that nobody here has. */
#include "base/placement.h"

#include "base/binding.h"

#include <parloom/parloom.h>

#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <sched.h>
#include <string>
#include <thread>
#include <vector>

namespace
{

using Machine = std::unique_ptr<loom_machine, decltype(&loom_machine_destroy)>;

Machine machine_of(const char *description)
{
    return { loom_machine_synthetic(description), loom_machine_destroy };
}

loom_cpuset cpus(int first, int last)
{
    loom_cpuset set = {};
    for (int cpu = first; cpu <= last; cpu++) loom_cpuset_add(&set, cpu);
    return set;
}

std::string text_of(const loom_cpuset &set)
{
    char text[256];
    loom_cpuset_write(&set, text, sizeof text);
    return text;
}

/* The sets of n workers as text; empty: nobody is bound. */
std::vector<std::string> places(const loom_machine *machine, const char *bind, const loom_cpuset &allowed, int n)
{
    std::vector<std::string> texts;
    loom_placement *placement = loom_placement_compute(machine, bind, &allowed, n);
    if (placement == nullptr) return texts;
    for (int worker = 0; worker < n; worker++) {
        loom_cpuset set;
        loom_placement_of(placement, static_cast<uint32_t>(worker), &set);
        texts.push_back(text_of(set));
    }
    free(placement);
    return texts;
}

using Texts = std::vector<std::string>;

/* Two nodes of eight cores with two hardware threads each: core k has CPUs 2k and 2k + 1. */
class Placement : public ::testing::Test
{
  protected:
    void SetUp() override { ASSERT_NE(machine.get(), nullptr) << "libhwloc15 is not installed"; }
    Machine machine = machine_of("numa:2 core:8 pu:2");
    loom_cpuset all = cpus(0, 31);
};

TEST_F(Placement, FlattensTheMachine)
{
    EXPECT_EQ(machine->n_nodes, 2);
    EXPECT_EQ(machine->n_cores, 16);
    EXPECT_EQ(machine->n_threads, 32);
    EXPECT_EQ(text_of(machine->nodes[1]), "16-31");
    EXPECT_EQ(text_of(machine->cores[9]), "18-19");
}

TEST_F(Placement, CoreGivesEachWorkerTheNextCoreWithItsHardwareThreads)
{
    EXPECT_EQ(places(machine.get(), "core", all, 3), (Texts{ "0-1", "2-3", "4-5" }));
}

TEST_F(Placement, CompactGivesEachWorkerTheNextHardwareThread)
{
    EXPECT_EQ(places(machine.get(), "compact", all, 4), (Texts{ "0", "1", "2", "3" }));
}

TEST_F(Placement, NumaGivesWholeNodesInTurns)
{
    EXPECT_EQ(places(machine.get(), "numa", all, 3), (Texts{ "0-15", "16-31", "0-15" }));
}

TEST_F(Placement, SpreadAlternatesBetweenNodes)
{
    EXPECT_EQ(places(machine.get(), "spread", all, 4), (Texts{ "0-1", "16-17", "2-3", "18-19" }));
}

TEST_F(Placement, SpreadGoesAsFarApartAsCachesTell)
{
    Machine deep = machine_of("package:2 l3:2 core:2 pu:1");
    ASSERT_NE(deep.get(), nullptr);
    EXPECT_EQ(places(deep.get(), "spread", cpus(0, 7), 8), (Texts{ "0", "4", "2", "6", "1", "5", "3", "7" }));
}

TEST_F(Placement, MoreWorkersThanPlacesTakeTurns)
{
    Machine small = machine_of("core:2 pu:2");
    ASSERT_NE(small.get(), nullptr);
    EXPECT_EQ(places(small.get(), "core", cpus(0, 3), 5), (Texts{ "0-1", "2-3", "0-1", "2-3", "0-1" }));
}

TEST_F(Placement, AWorkerSitsInTheSamePlaceHoweverManyThereAre)
{
    for (const char *bind : { "core", "numa", "spread", "compact", "3-9" }) {
        Texts many = places(machine.get(), bind, all, 40), few = places(machine.get(), bind, all, 5);
        ASSERT_EQ(many.size(), 40u) << bind;
        EXPECT_EQ(few, Texts(many.begin(), many.begin() + 5)) << bind;
    }
}

TEST_F(Placement, UsesWhatIsAllowedAndNothingElse)
{
    loom_cpuset some = cpus(3, 6); /* half of core 1, cores 2 and half of 3 */
    loom_cpuset ours = cpus(14, 17);
    EXPECT_EQ(places(machine.get(), "core", some, 4), (Texts{ "3", "4-5", "6", "3" }));
    EXPECT_EQ(places(machine.get(), "compact", some, 2), (Texts{ "3", "4" }));
    EXPECT_EQ(places(machine.get(), "numa", some, 2), (Texts{ "3-6", "3-6" }));
    EXPECT_EQ(places(machine.get(), "numa", ours, 2), (Texts{ "14-15", "16-17" }));
    EXPECT_EQ(places(machine.get(), "spread", ours, 2), (Texts{ "16-17", "14-15" }));
    EXPECT_EQ(places(machine.get(), "0-3", some, 2), (Texts{ "3", "3" }));
}

TEST_F(Placement, ASetIsSharedByAllWorkers)
{
    EXPECT_EQ(places(machine.get(), "1,4-6", all, 2), (Texts{ "1,4-6", "1,4-6" }));
    EXPECT_EQ(places(nullptr, "0x10f", all, 1), (Texts{ "0-3,8" }));
    EXPECT_EQ(places(nullptr, "0x00000001,0x00000001", cpus(0, 63), 1), (Texts{ "0,32" }));
    EXPECT_EQ(places(nullptr, "30-", all, 1), (Texts{ "30-31" }));
}

TEST_F(Placement, NobodyIsBoundWhereTheMachineIsNotKnown)
{
    EXPECT_TRUE(places(nullptr, "core", all, 2).empty());
    EXPECT_TRUE(places(machine.get(), "none", all, 2).empty());
    EXPECT_TRUE(places(machine.get(), nullptr, all, 2).empty());
    EXPECT_EQ(places(nullptr, "core", cpus(5, 5), 2), (Texts{ "5", "5" })) << "one CPU leaves no choice";
}

TEST_F(Placement, GoesBeyondSixtyFourCpus)
{
    Machine large = machine_of("numa:4 core:64 pu:1");
    ASSERT_NE(large.get(), nullptr);
    EXPECT_EQ(places(large.get(), "numa", cpus(0, 255), 4), (Texts{ "0-63", "64-127", "128-191", "192-255" }));
    EXPECT_EQ(places(large.get(), "spread", cpus(0, 255), 5), (Texts{ "0", "64", "128", "192", "1" }));
}

TEST_F(Placement, CountsCoresOfWhichAThreadIsOurs)
{
    loom_cpuset some = cpus(3, 6);
    EXPECT_EQ(loom_machine_count_cores(machine.get(), &some), 3);
    EXPECT_EQ(loom_machine_count_cores(machine.get(), &all), 16);
}

TEST_F(Placement, TellsTheFewestCpusOfAWorker)
{
    loom_cpuset some = cpus(3, 6);
    loom_placement *placement = loom_placement_compute(machine.get(), "core", &some, 2);
    ASSERT_NE(placement, nullptr);
    EXPECT_EQ(loom_placement_least(placement), 1);
    free(placement);
}

TEST_F(Placement, RefusesWhatIsNoWordAndNoSet)
{
    for (const char *bind : { "cores", "Core", "", " core", "1-0", "-1", "0,", ",0", "0-3, 8", "0x", "0xg", "0x1,",
                              "4096", "0-4096", "99999999999", "0x1,0x123456789", "numa:1", "0--3", "0-3-5" }) {
        parloom_error error;
        EXPECT_EQ(loom_placement_check(bind, nullptr, &error), PARLOOM_ERR_INVALID) << bind;
        EXPECT_NE(strstr(error.message, "0-3,8"), nullptr) << error.message;
    }
    std::string endless(5000, '0');
    EXPECT_EQ(loom_placement_check(endless.c_str(), nullptr, nullptr), PARLOOM_ERR_INVALID);
    EXPECT_EQ(loom_placement_check(("0x" + std::string(1025, 'f')).c_str(), nullptr, nullptr), PARLOOM_ERR_INVALID);
}

TEST_F(Placement, RefusesASetOutsideOfWhatIsAllowed)
{
    parloom_error error;
    loom_cpuset some = cpus(3, 6);
    EXPECT_EQ(loom_placement_check("0-2,7", &some, &error), PARLOOM_ERR_INVALID);
    EXPECT_NE(strstr(error.message, "3-6"), nullptr) << error.message;
    EXPECT_EQ(loom_placement_check("0-3", &some, &error), PARLOOM_OK);
    EXPECT_EQ(loom_placement_check("core", &some, &error), PARLOOM_OK);
    EXPECT_EQ(loom_placement_check(nullptr, &some, &error), PARLOOM_OK);
}

TEST_F(Placement, WritesSetsThatFitNoRoomWithDots)
{
    loom_cpuset odd = {};
    char text[16];
    for (int cpu = 1; cpu < 100; cpu += 2) loom_cpuset_add(&odd, cpu);
    loom_cpuset_write(&odd, text, sizeof text);
    EXPECT_STREQ(text, "1,3,5,7,9,11...");
}

TEST_F(Placement, SynthesisesNoMachineFromRubbish)
{
    EXPECT_EQ(loom_machine_synthetic("numa:x core:"), nullptr);
}

/* ------------------------------------------------------------- this machine */

cpu_set_t affinity()
{
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return set;
}

int first_of(const cpu_set_t &set)
{
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set)) cpu++;
    return cpu;
}

TEST(Binding, BindsAThreadAndGivesItBackWhatItHad)
{
    cpu_set_t before = affinity();
    loom_cpuset allowed;
    ASSERT_TRUE(loom_binding_allowed(&allowed));
    EXPECT_EQ(loom_cpuset_count(&allowed), CPU_COUNT(&before));
    std::string one = std::to_string(first_of(before));
    loom_placement *placement = loom_placement_compute(nullptr, one.c_str(), &allowed, 1);
    ASSERT_NE(placement, nullptr);
    loom_binding binding, suspended;
    loom_binding_enter(&binding, placement, 0);
    cpu_set_t bound = affinity();
    loom_binding_suspend(&suspended);
    cpu_set_t between = affinity();
    loom_binding_resume(&suspended);
    cpu_set_t again = affinity();
    loom_binding_leave(&binding);
    cpu_set_t after = affinity();
    EXPECT_EQ(CPU_COUNT(&bound), 1);
    EXPECT_TRUE(CPU_EQUAL(&between, &before));
    EXPECT_TRUE(CPU_EQUAL(&again, &bound));
    EXPECT_TRUE(CPU_EQUAL(&after, &before));
    free(placement);
}

TEST(Binding, MovesAllThreadsOfAProcessAndBack)
{
    cpu_set_t before = affinity();
    loom_cpuset allowed;
    ASSERT_TRUE(loom_binding_allowed(&allowed));
    std::string one = std::to_string(first_of(before));
    loom_placement *placement = loom_placement_compute(nullptr, one.c_str(), &allowed, 1);
    ASSERT_NE(placement, nullptr);
    int orders[2], answers[2];
    ASSERT_EQ(pipe(orders), 0);
    ASSERT_EQ(pipe(answers), 0);
    std::thread other([&] {
        char order;
        while (read(orders[0], &order, 1) == 1) {
            cpu_set_t set = affinity();
            auto count = static_cast<char>(CPU_COUNT(&set) == 1);
            if (write(answers[1], &count, 1) != 1) return;
        }
    });
    auto ask = [&] {
        char answer = 9;
        EXPECT_EQ(write(orders[1], "?", 1), 1);
        EXPECT_EQ(read(answers[0], &answer, 1), 1);
        return static_cast<int>(answer);
    };
    loom_binding_of_process(placement, 0);
    EXPECT_EQ(ask(), 1);
    loom_binding_of_process(nullptr, 0);
    cpu_set_t after = affinity();
    EXPECT_TRUE(CPU_EQUAL(&after, &before));
    EXPECT_EQ(ask(), CPU_COUNT(&before) == 1);
    close(orders[1]);
    other.join();
    for (int fd : { orders[0], answers[0], answers[1] }) close(fd);
    free(placement);
}

std::string told;

TEST(Binding, WhatTheSystemRefusesIsToldOnceAndLeavesTheThreadAsItWas)
{
    told.clear();
    parloom_set_log([](int, const char *line, void *) { told += std::string(line) + "\n"; }, nullptr);
    cpu_set_t before = affinity();
    loom_cpuset nowhere = {};
    loom_cpuset_add(&nowhere, LOOM_CPUSET_CPUS - 1);
    loom_placement *placement = loom_placement_compute(nullptr, "4095", &nowhere, 1);
    ASSERT_NE(placement, nullptr);
    for (int i = 0; i < 2; i++) {
        loom_binding binding;
        loom_binding_enter(&binding, placement, 0);
        EXPECT_FALSE(binding.is_bound);
        loom_binding_leave(&binding);
        loom_binding_of_process(placement, 0);
    }
    parloom_set_log(nullptr, nullptr);
    cpu_set_t after = affinity();
    EXPECT_TRUE(CPU_EQUAL(&after, &before));
    size_t at = told.find("4095");
    ASSERT_NE(at, std::string::npos) << told;
    EXPECT_EQ(told.find("4095", at + 4), std::string::npos) << told;
    free(placement);
}

TEST(Binding, WithoutHwlocWordsBindNobodyAndThatIsToldOnce)
{
    told.clear();
    loom_machine_library = "libhwloc-is-not-there.so";
    parloom_set_log([](int, const char *line, void *) { told += std::string(line) + "\n"; }, nullptr);
    cpu_set_t set = affinity();
    if (CPU_COUNT(&set) == 1) GTEST_SKIP() << "one CPU: there is nothing to choose";
    EXPECT_EQ(loom_placement_make("core", 2), nullptr);
    EXPECT_EQ(loom_placement_make("numa", 2), nullptr);
    std::string one = std::to_string(first_of(set));
    loom_placement *placement = loom_placement_make(one.c_str(), 2);
    EXPECT_NE(placement, nullptr) << "a set needs no hwloc";
    free(placement);
    EXPECT_EQ(parloom_cpu_count(true), parloom_cpu_count(false));
    parloom_set_log(nullptr, nullptr);
    size_t at = told.find("libhwloc-is-not-there.so");
    ASSERT_NE(at, std::string::npos) << told;
    EXPECT_EQ(told.find("libhwloc-is-not-there.so", at + 4), std::string::npos) << told;
}

} // namespace
