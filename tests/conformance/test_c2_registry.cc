/* SPDX-License-Identifier: BSD-3-Clause */
/* C2: stores of the program's own, and locations. */
#include "conformance/conformance.h"
#include "support/cache_kit.h"

using namespace conformance;

namespace
{

parloom_status open_nothing(void *, const char *, void **store_out, parloom_error *)
{
    static int store;
    *store_out = &store;
    return PARLOOM_OK;
}

parloom_cache_store_ops dummy_ops()
{
    parloom_cache_store_ops made;
    memset(&made, 0, sizeof made);
    made.struct_size = sizeof made;
    made.abi = PARLOOM_CACHE_STORE_ABI;
    made.open = open_nothing;
    made.close = [](void *) {};
    made.fetch = [](void *, const char *, parloom_cache_place *, bool *is_there_out, parloom_error *) {
        *is_there_out = false;
        return PARLOOM_OK;
    };
    made.release = [](void *, parloom_cache_place *) {};
    made.begin = [](void *, const char *, parloom_cache_place *, parloom_error *error) {
        snprintf(error->message, sizeof error->message, "nothing is kept here");
        error->sys_errno = 0;
        return PARLOOM_ERR_UNSUPPORTED;
    };
    made.end = [](void *, const char *, parloom_cache_place *, bool, parloom_error *) { return PARLOOM_OK; };
    made.remove = [](void *, const char *, parloom_error *) { return PARLOOM_OK; };
    made.list = [](void *, void (*)(const parloom_cache_item *, void *), void *, parloom_error *) {
        return PARLOOM_OK;
    };
    return made;
}

parloom_status open_named(const char *store, const char *location)
{
    parloom_cache_options options = loom::cache_options();
    parloom_cache *cache = nullptr;
    options.store = store;
    parloom_status status = parloom_cache_open(&cache, location, &options, nullptr);
    parloom_cache_close(cache);
    return status;
}

} // namespace

TEST_F(Conformance, C2_10_AStoreNeedsAName)
{
    parloom_cache_store_ops ops = dummy_ops();
    for (const char *name : { static_cast<const char *>(nullptr), "", "a b", "local" })
        EXPECT_EQ(parloom_cache_register(name, &ops, nullptr, &error), PARLOOM_ERR_INVALID);
}

TEST_F(Conformance, C2_11_AStoreNeedsTheInterface)
{
    parloom_cache_store_ops ops = dummy_ops();
    EXPECT_EQ(parloom_cache_register("dummy", nullptr, nullptr, &error), PARLOOM_ERR_INVALID);
    ops.abi = 0;
    EXPECT_EQ(parloom_cache_register("dummy", &ops, nullptr, &error), PARLOOM_ERR_VERSION);
}

TEST_F(Conformance, C2_12_AnUnknownStoreIsAnErrorAtOpen)
{
    EXPECT_EQ(open_named("unknown", "x"), PARLOOM_ERR_INVALID);
}

TEST_F(Conformance, C2_13_ALocationOfAnotherKindIsTold)
{
    announce("looks like no folder");
    EXPECT_EQ(open_named(nullptr, "s3://bucket/results"), PARLOOM_OK);
}

TEST_F(Conformance, C2_14_AStoreWithMissingOperationsIsRefused)
{
    parloom_cache_store_ops ops = dummy_ops();
    ops.list = nullptr;
    EXPECT_EQ(parloom_cache_register("dummy", &ops, nullptr, &error), PARLOOM_ERR_INVALID);
    EXPECT_NE(std::string(error.message).find("list"), std::string::npos);
    EXPECT_EQ(open_named("dummy", "x"), PARLOOM_ERR_INVALID);
}

TEST_F(Conformance, C2_15_ARegisteredStoreIsOpened)
{
    parloom_cache_store_ops ops = dummy_ops();
    ASSERT_EQ(parloom_cache_register("dummy", &ops, nullptr, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(open_named("dummy", "anything"), PARLOOM_OK);
    EXPECT_EQ(parloom_cache_unregister("dummy", &error), PARLOOM_OK);
}
