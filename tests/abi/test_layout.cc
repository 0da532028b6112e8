/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_layout.cc - sizes and offsets of public structs on 64-bit Linux, and values of public enums. Programs compiled
 * earlier, and bindings of other languages, rely on them: a change here is a new SONAME.
 */
#include <parloom/parloom.h>

#include <gtest/gtest.h>

#include <cstddef>

TEST(Layout, OfErrorIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_error), 1112u);
    EXPECT_EQ(offsetof(parloom_error, status), 0u);
    EXPECT_EQ(offsetof(parloom_error, code), 4u);
    EXPECT_EQ(offsetof(parloom_error, sys_errno), 8u);
    EXPECT_EQ(offsetof(parloom_error, signal), 12u);
    EXPECT_EQ(offsetof(parloom_error, worker), 16u);
    EXPECT_EQ(offsetof(parloom_error, pid), 20u);
    EXPECT_EQ(offsetof(parloom_error, attempt), 24u);
    EXPECT_EQ(offsetof(parloom_error, task), 32u);
    EXPECT_EQ(offsetof(parloom_error, address), 40u);
    EXPECT_EQ(offsetof(parloom_error, peak_nbytes), 48u);
    EXPECT_EQ(offsetof(parloom_error, reserved), 56u);
    EXPECT_EQ(offsetof(parloom_error, message), 88u);
}

TEST(Layout, OfStopIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_stop), 32u);
    EXPECT_EQ(offsetof(parloom_stop, requested), 0u);
    EXPECT_EQ(offsetof(parloom_stop, reserved), 4u);
}

TEST(Layout, OfReportIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_report), 200u);
    EXPECT_EQ(offsetof(parloom_report, struct_size), 0u);
    EXPECT_EQ(offsetof(parloom_report, tasks), 8u);
    EXPECT_EQ(offsetof(parloom_report, ok), 16u);
    EXPECT_EQ(offsetof(parloom_report, failed), 24u);
    EXPECT_EQ(offsetof(parloom_report, crashed), 32u);
    EXPECT_EQ(offsetof(parloom_report, exited), 40u);
    EXPECT_EQ(offsetof(parloom_report, timed_out), 48u);
    EXPECT_EQ(offsetof(parloom_report, cancelled), 56u);
    EXPECT_EQ(offsetof(parloom_report, retried), 64u);
    EXPECT_EQ(offsetof(parloom_report, inline_nbytes), 72u);
    EXPECT_EQ(offsetof(parloom_report, spilled_nbytes), 80u);
    EXPECT_EQ(offsetof(parloom_report, returned_nbytes), 88u);
    EXPECT_EQ(offsetof(parloom_report, seconds), 96u);
    EXPECT_EQ(offsetof(parloom_report, cpu_seconds), 104u);
    EXPECT_EQ(offsetof(parloom_report, n_jobs), 112u);
    EXPECT_EQ(offsetof(parloom_report, workers_started), 116u);
    EXPECT_EQ(offsetof(parloom_report, workers_lost), 120u);
    EXPECT_EQ(offsetof(parloom_report, backend), 128u);
    EXPECT_EQ(offsetof(parloom_report, spilled_to), 136u);
}

TEST(Layout, OfOptionsIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_options), 272u);
    EXPECT_EQ(offsetof(parloom_options, struct_size), 0u);
    EXPECT_EQ(offsetof(parloom_options, n_jobs), 8u);
    EXPECT_EQ(offsetof(parloom_options, backend), 16u);
    EXPECT_EQ(offsetof(parloom_options, backend_params), 24u);
    EXPECT_EQ(offsetof(parloom_options, pool), 32u);
    EXPECT_EQ(offsetof(parloom_options, prefer), 40u);
    EXPECT_EQ(offsetof(parloom_options, require), 44u);
    EXPECT_EQ(offsetof(parloom_options, max_nbytes), 48u);
    EXPECT_EQ(offsetof(parloom_options, mmap_mode), 56u);
    EXPECT_EQ(offsetof(parloom_options, temp_folder), 64u);
    EXPECT_EQ(offsetof(parloom_options, pre_dispatch), 72u);
    EXPECT_EQ(offsetof(parloom_options, batch_size), 80u);
    EXPECT_EQ(offsetof(parloom_options, schedule), 88u);
    EXPECT_EQ(offsetof(parloom_options, task_timeout), 96u);
    EXPECT_EQ(offsetof(parloom_options, timeout), 104u);
    EXPECT_EQ(offsetof(parloom_options, on_error), 112u);
    EXPECT_EQ(offsetof(parloom_options, retries), 116u);
    EXPECT_EQ(offsetof(parloom_options, statuses), 120u);
    EXPECT_EQ(offsetof(parloom_options, n_statuses), 128u);
    EXPECT_EQ(offsetof(parloom_options, errors), 136u);
    EXPECT_EQ(offsetof(parloom_options, n_errors), 144u);
    EXPECT_EQ(offsetof(parloom_options, report), 152u);
    EXPECT_EQ(offsetof(parloom_options, progress), 160u);
    EXPECT_EQ(offsetof(parloom_options, progress_state), 168u);
    EXPECT_EQ(offsetof(parloom_options, stop), 176u);
    EXPECT_EQ(offsetof(parloom_options, verbose), 184u);
    EXPECT_EQ(offsetof(parloom_options, inner_max_num_threads), 188u);
    EXPECT_EQ(offsetof(parloom_options, worker_init), 192u);
    EXPECT_EQ(offsetof(parloom_options, worker_init_state), 200u);
    EXPECT_EQ(offsetof(parloom_options, worker_init_state_nbytes), 208u);
    EXPECT_EQ(offsetof(parloom_options, progress_style), 216u);
    EXPECT_EQ(offsetof(parloom_options, fresh_worker_every), 220u);
    EXPECT_EQ(offsetof(parloom_options, check_globals), 224u);
    EXPECT_EQ(offsetof(parloom_options, memory_policy), 228u);
    EXPECT_EQ(offsetof(parloom_options, modules), 232u);
    EXPECT_EQ(offsetof(parloom_options, bind), 240u);
    EXPECT_EQ(offsetof(parloom_options, idle_timeout), 248u);
    EXPECT_EQ(offsetof(parloom_options, worker_growth_limit), 256u);
    EXPECT_EQ(offsetof(parloom_options, worker_environment), 264u);
}

TEST(Layout, OfArrayIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_array), 184u);
    EXPECT_EQ(offsetof(parloom_array, data), 0u);
    EXPECT_EQ(offsetof(parloom_array, dtype), 8u);
    EXPECT_EQ(offsetof(parloom_array, ndim), 12u);
    EXPECT_EQ(offsetof(parloom_array, shape), 16u);
    EXPECT_EQ(offsetof(parloom_array, strides), 80u);
    EXPECT_EQ(offsetof(parloom_array, item_nbytes), 144u);
    EXPECT_EQ(offsetof(parloom_array, flags), 152u);
    EXPECT_EQ(offsetof(parloom_array, owner), 160u);
    EXPECT_EQ(offsetof(parloom_array, reserved), 168u);
}

TEST(Layout, OfTaskIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_task), 64u);
    EXPECT_EQ(offsetof(parloom_task, index), 0u);
    EXPECT_EQ(offsetof(parloom_task, begin), 8u);
    EXPECT_EQ(offsetof(parloom_task, end), 16u);
    EXPECT_EQ(offsetof(parloom_task, count), 24u);
    EXPECT_EQ(offsetof(parloom_task, worker), 32u);
    EXPECT_EQ(offsetof(parloom_task, n_jobs), 36u);
    EXPECT_EQ(offsetof(parloom_task, attempt), 40u);
    EXPECT_EQ(offsetof(parloom_task, level), 44u);
    EXPECT_EQ(offsetof(parloom_task, backend), 48u);
    EXPECT_EQ(offsetof(parloom_task, internal), 56u);
}

TEST(Layout, OfArgIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_arg), 48u);
    EXPECT_EQ(offsetof(parloom_arg, kind), 0u);
    EXPECT_EQ(offsetof(parloom_arg, reserved), 4u);
    EXPECT_EQ(offsetof(parloom_arg, data), 8u);
    EXPECT_EQ(offsetof(parloom_arg, nbytes), 16u);
    EXPECT_EQ(offsetof(parloom_arg, array), 24u);
    EXPECT_EQ(offsetof(parloom_arg, stride), 32u);
    EXPECT_EQ(offsetof(parloom_arg, combine), 40u);
}

TEST(Layout, OfDigestAndHashOptionsIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_digest), 16u);
    EXPECT_EQ(sizeof(parloom_hash_options), 112u);
    EXPECT_EQ(offsetof(parloom_hash_options, algorithm), 0u);
    EXPECT_EQ(offsetof(parloom_hash_options, any_layout), 8u);
    EXPECT_EQ(offsetof(parloom_hash_options, memmap_differs), 9u);
    EXPECT_EQ(offsetof(parloom_hash_options, ignored), 16u);
    EXPECT_EQ(offsetof(parloom_hash_options, n_ignored), 24u);
    EXPECT_EQ(offsetof(parloom_hash_options, loop), 32u);
    EXPECT_EQ(offsetof(parloom_hash_options, sha256_out), 40u);
    EXPECT_EQ(offsetof(parloom_hash_options, reserved), 48u);
}

TEST(Layout, OfCallIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_call), 24u);
    EXPECT_EQ(offsetof(parloom_call, function), 0u);
    EXPECT_EQ(offsetof(parloom_call, args), 8u);
    EXPECT_EQ(offsetof(parloom_call, n_args), 16u);
}

TEST(Layout, OfEnumsIsThatOfInt)
{
    EXPECT_EQ(sizeof(parloom_status), sizeof(int));
    EXPECT_EQ(sizeof(parloom_prefer), sizeof(int));
    EXPECT_EQ(sizeof(parloom_require), sizeof(int));
    EXPECT_EQ(sizeof(parloom_mmap_mode), sizeof(int));
    EXPECT_EQ(sizeof(parloom_on_error), sizeof(int));
    EXPECT_EQ(sizeof(parloom_schedule), sizeof(int));
    EXPECT_EQ(sizeof(parloom_dtype), sizeof(int));
}

TEST(Layout, OfBackendsIsWhatThoseCompiledEarlierHave)
{
    EXPECT_EQ(PARLOOM_BACKEND_ABI, 1u);
    EXPECT_EQ(sizeof(parloom_backend_ops), 72u);
    EXPECT_EQ(offsetof(parloom_backend_ops, struct_size), 0u);
    EXPECT_EQ(offsetof(parloom_backend_ops, abi), 8u);
    EXPECT_EQ(offsetof(parloom_backend_ops, flags), 12u);
    EXPECT_EQ(offsetof(parloom_backend_ops, configure), 16u);
    EXPECT_EQ(offsetof(parloom_backend_ops, open), 24u);
    EXPECT_EQ(offsetof(parloom_backend_ops, close), 32u);
    EXPECT_EQ(offsetof(parloom_backend_ops, run), 40u);
    EXPECT_EQ(offsetof(parloom_backend_ops, shutdown), 48u);
    EXPECT_EQ(offsetof(parloom_backend_ops, wait_begin), 56u);
    EXPECT_EQ(offsetof(parloom_backend_ops, wait_end), 64u);
    EXPECT_EQ(sizeof(parloom_backend_chunk), 16u);
    EXPECT_EQ(offsetof(parloom_backend_result, failed), 16u);
    EXPECT_EQ(offsetof(parloom_backend_result, status), 24u);
    EXPECT_EQ(offsetof(parloom_backend_result, error), 32u);
}

TEST(Layout, KeepsTheValuesOfStatuses)
{
    const int values[] = { PARLOOM_OK,           PARLOOM_ERR_INVALID, PARLOOM_ERR_MEMORY,
                           PARLOOM_ERR_SPACE,    PARLOOM_ERR_LIMIT,   PARLOOM_ERR_IO,
                           PARLOOM_ERR_FORMAT,   PARLOOM_ERR_VERSION, PARLOOM_ERR_UNSUPPORTED,
                           PARLOOM_ERR_FUNCTION, PARLOOM_ERR_BUSY,    PARLOOM_ERR_CALLBACK };
    for (int k = 0; k < 12; k++) EXPECT_EQ(values[k], -k);
    const int ends[] = { PARLOOM_ERR_TASK,    PARLOOM_ERR_CRASHED,   PARLOOM_ERR_EXITED,
                         PARLOOM_ERR_TIMEOUT, PARLOOM_ERR_CANCELLED, PARLOOM_ERR_POOL };
    for (int k = 0; k < 6; k++) EXPECT_EQ(ends[k], -20 - k);
    EXPECT_EQ(int{ PARLOOM_ERR_INTERNAL }, -99);
}

TEST(Layout, KeepsTheValuesOfChoices)
{
    EXPECT_EQ(int{ PARLOOM_PREFER_THREADS }, 2);
    EXPECT_EQ(int{ PARLOOM_REQUIRE_ISOLATION }, 2);
    EXPECT_EQ(int{ PARLOOM_MMAP_R }, 1);
    EXPECT_EQ(int{ PARLOOM_MMAP_RW }, 2);
    EXPECT_EQ(int{ PARLOOM_MMAP_W }, 3);
    EXPECT_EQ(int{ PARLOOM_MMAP_C }, 4);
    EXPECT_EQ(int{ PARLOOM_ON_ERROR_GO_ON }, 2);
    EXPECT_EQ(int{ PARLOOM_SCHEDULE_STATIC }, 1);
    EXPECT_EQ(int{ PARLOOM_BOOL }, 1);
    EXPECT_EQ(int{ PARLOOM_F64 }, 11);
    EXPECT_EQ(int{ PARLOOM_ITEM }, 14);
}

TEST(Layout, OfCachesIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_cache_options), 96u);
    EXPECT_EQ(offsetof(parloom_cache_options, struct_size), 0u);
    EXPECT_EQ(offsetof(parloom_cache_options, store), 8u);
    EXPECT_EQ(offsetof(parloom_cache_options, codec), 16u);
    EXPECT_EQ(offsetof(parloom_cache_options, level), 24u);
    EXPECT_EQ(offsetof(parloom_cache_options, mmap_mode), 28u);
    EXPECT_EQ(offsetof(parloom_cache_options, verbose), 32u);
    EXPECT_EQ(offsetof(parloom_cache_options, is_durable), 36u);
    EXPECT_EQ(offsetof(parloom_cache_options, is_shared), 37u);
    EXPECT_EQ(offsetof(parloom_cache_options, nbytes), 40u);
    EXPECT_EQ(offsetof(parloom_cache_options, n_items), 48u);
    EXPECT_EQ(offsetof(parloom_cache_options, age_s), 56u);
    EXPECT_EQ(offsetof(parloom_cache_options, n_jobs), 64u);
    EXPECT_EQ(offsetof(parloom_cache_options, verify), 68u);
    EXPECT_EQ(offsetof(parloom_cache_options, reserved), 72u);
    EXPECT_EQ(sizeof(parloom_cache_value), 48u);
    EXPECT_EQ(offsetof(parloom_cache_value, name), 0u);
    EXPECT_EQ(offsetof(parloom_cache_value, type), 8u);
    EXPECT_EQ(offsetof(parloom_cache_value, reserved), 12u);
    EXPECT_EQ(offsetof(parloom_cache_value, integer), 16u);
    EXPECT_EQ(offsetof(parloom_cache_value, real), 24u);
    EXPECT_EQ(offsetof(parloom_cache_value, data), 32u);
    EXPECT_EQ(offsetof(parloom_cache_value, nbytes), 40u);
    EXPECT_EQ(sizeof(parloom_cache_param), 24u);
    EXPECT_EQ(offsetof(parloom_cache_param, name), 0u);
    EXPECT_EQ(offsetof(parloom_cache_param, type), 8u);
    EXPECT_EQ(offsetof(parloom_cache_param, reserved), 12u);
    EXPECT_EQ(offsetof(parloom_cache_param, fallback), 16u);
    EXPECT_EQ(sizeof(parloom_cache_result), 32u);
    EXPECT_EQ(offsetof(parloom_cache_result, name), 0u);
    EXPECT_EQ(offsetof(parloom_cache_result, dtype), 8u);
    EXPECT_EQ(offsetof(parloom_cache_result, ndim), 12u);
    EXPECT_EQ(offsetof(parloom_cache_result, shape), 16u);
    EXPECT_EQ(offsetof(parloom_cache_result, item_nbytes), 24u);
    EXPECT_EQ(sizeof(parloom_cache_info), 96u);
    EXPECT_EQ(offsetof(parloom_cache_info, key), 0u);
    EXPECT_EQ(offsetof(parloom_cache_info, is_hit), 33u);
    EXPECT_EQ(offsetof(parloom_cache_info, duration_s), 40u);
    EXPECT_EQ(offsetof(parloom_cache_info, created_s), 48u);
    EXPECT_EQ(offsetof(parloom_cache_info, age_s), 56u);
    EXPECT_EQ(offsetof(parloom_cache_info, arguments), 64u);
    EXPECT_EQ(offsetof(parloom_cache_info, reserved), 72u);
}

TEST(Layout, OfCachedFunctionsAndStoresIsWhatOtherLanguagesMirror)
{
    EXPECT_EQ(sizeof(parloom_cache_function), 144u);
    EXPECT_EQ(offsetof(parloom_cache_function, struct_size), 0u);
    EXPECT_EQ(offsetof(parloom_cache_function, name), 8u);
    EXPECT_EQ(offsetof(parloom_cache_function, body), 16u);
    EXPECT_EQ(offsetof(parloom_cache_function, version), 24u);
    EXPECT_EQ(offsetof(parloom_cache_function, params), 32u);
    EXPECT_EQ(offsetof(parloom_cache_function, n_params), 40u);
    EXPECT_EQ(offsetof(parloom_cache_function, results), 48u);
    EXPECT_EQ(offsetof(parloom_cache_function, n_results), 56u);
    EXPECT_EQ(offsetof(parloom_cache_function, ignore), 64u);
    EXPECT_EQ(offsetof(parloom_cache_function, n_ignore), 72u);
    EXPECT_EQ(offsetof(parloom_cache_function, is_valid), 80u);
    EXPECT_EQ(offsetof(parloom_cache_function, is_valid_state), 88u);
    EXPECT_EQ(offsetof(parloom_cache_function, expires_after_s), 96u);
    EXPECT_EQ(offsetof(parloom_cache_function, mmap_mode), 104u);
    EXPECT_EQ(offsetof(parloom_cache_function, verbose), 108u);
    EXPECT_EQ(offsetof(parloom_cache_function, reserved), 112u);
    EXPECT_EQ(sizeof(parloom_cache_item), 32u);
    EXPECT_EQ(offsetof(parloom_cache_item, name), 0u);
    EXPECT_EQ(offsetof(parloom_cache_item, path), 8u);
    EXPECT_EQ(offsetof(parloom_cache_item, nbytes), 16u);
    EXPECT_EQ(offsetof(parloom_cache_item, used_s), 24u);
    EXPECT_EQ(sizeof(parloom_cache_place), 2064u);
    EXPECT_EQ(offsetof(parloom_cache_place, path), 0u);
    EXPECT_EQ(offsetof(parloom_cache_place, state), 2048u);
    EXPECT_EQ(offsetof(parloom_cache_place, descriptor), 2056u);
    EXPECT_EQ(offsetof(parloom_cache_place, reserved), 2060u);
    EXPECT_EQ(sizeof(parloom_cache_store_ops), 112u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, struct_size), 0u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, abi), 8u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, flags), 12u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, open), 16u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, close), 24u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, fetch), 32u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, release), 40u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, begin), 48u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, end), 56u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, remove), 64u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, list), 72u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, touch), 80u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, lock), 88u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, unlock), 96u);
    EXPECT_EQ(offsetof(parloom_cache_store_ops, try_lock), 104u);
}

TEST(Layout, EnumeratorsOfCachesKeepTheirValues)
{
    EXPECT_EQ(int{ PARLOOM_CACHE_I64 }, 1);
    EXPECT_EQ(int{ PARLOOM_CACHE_ARRAY }, 5);
    EXPECT_EQ(int{ PARLOOM_CACHE_TOLD }, -1);
    EXPECT_EQ(int{ PARLOOM_CACHE_VERIFY_READ }, 1);
    EXPECT_EQ(int{ PARLOOM_CACHE_VERIFY_NEVER }, 3);
    EXPECT_EQ(PARLOOM_CACHE_STORE_ABI, 1u);
}
