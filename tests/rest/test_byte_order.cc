/* SPDX-License-Identifier: BSD-3-Clause */
/* test_byte_order.cc - items in the other byte order, also inside records: turned, kept, refused as arguments. */
#include "rest/samples.h"
#include "support/scratch.h"

#include "base/fault.h"

#include <cstring>
#include <endian.h>

namespace
{

class ByteOrder : public Scratch
{
  protected:
    parloom_error error = {};
};

int do_nothing(const parloom_task *, void *const *)
{
    return 0;
}

} // namespace

TEST_F(ByteOrder, OfEveryTypeIsTurnedIntoThisMachines)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, std::string(PYTHON_ITEMS) + R"(
for d, dtype in enumerate(dtypes):
    for shape in shapes:
        n = int(np.prod(shape, dtype=int))
        for order in 'CF':
            want = np.asarray(items(dtype, n).reshape(shape), order=order)
            np.save('%d%s%d.npy' % (d, order.lower(), len(shape)), want.astype(want.dtype.newbyteorder('>'), order=order))
)"),
              "");
    for (size_t d = 0; d < std::size(DTYPES); d++)
        for (const auto &shape : SHAPES)
            for (bool is_fortran : { false, true }) {
                std::string memory, file = path(file_name(d, shape.size(), is_fortran));
                parloom_array want = make(DTYPES[d], shape, false, memory), got;
                ASSERT_EQ(parloom_array_load(&got, file.c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK)
                    << error.message;
                EXPECT_TRUE(parloom_array_is_native(&got));
                EXPECT_EQ(in_c_order(got), in_c_order(want)) << file;
                parloom_array_release(&got);
            }
}

/* Fields of fields, arrays of records, text, times, complex numbers: NumPy turns the same file. */
TEST_F(ByteOrder, OfRecordsIsTurnedFieldByField)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, R"(
import numpy as np
inner = [('x', '>f4'), ('deep', [('y', '|i1'), ('z', '>i2', (3,))], (2,)), ('native', '<u8')]
types = [
    [('a', '>i4'), ('b', '<i8')],
    [('a', '>c16'), ('t', '>U3'), ('when', '>M8[s]'), ('s', '|S5')],
    [('in', inner, (2, 2)), ('last', '>f8')],
    [('none', '>f8', (0,)), ('empty', inner, (0,)), ('some', '>u2')],
    [('t', 'S0'), ('u', '>U0'), ('a', '>f4'), ('v', 'V0'), ('b', '>i2')],
    {'names': ['a', 'b'], 'formats': ['|i1', '>f8'], 'offsets': [0, 8], 'itemsize': 24},
]
generator = np.random.default_rng(5)
for k, each in enumerate(types):
    dtype = np.dtype(each)
    random = np.frombuffer(generator.integers(0, 100, 7 * dtype.itemsize, dtype='u1').tobytes(), dtype)
    records = np.zeros(7, dtype)
    native = np.zeros(7, dtype.newbyteorder('='))
    for name in dtype.names: # what lies between fields is nobody's
        records[name] = random[name]
        native[name] = records[name]
    np.save('%d.npy' % k, records)
    open('%d.want' % k, 'wb').write(native.tobytes())
    open('%d.kept' % k, 'wb').write(records.tobytes())
)"),
              "");
    for (int k = 0; k < 6; k++) {
        std::string name = path(std::to_string(k));
        parloom_array got;
        ASSERT_EQ(parloom_array_load(&got, (name + ".npy").c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_OK)
            << error.message;
        EXPECT_EQ(got.dtype, PARLOOM_ITEM);
        EXPECT_EQ(got.item_nbytes * 7, read(name + ".want").size());
        EXPECT_EQ(in_c_order(got), read(name + ".want")) << k;
        parloom_array_release(&got);
        ASSERT_EQ(parloom_array_load_ordered(&got, (name + ".npy").c_str(), PARLOOM_MMAP_UNSET, PARLOOM_BYTE_ORDER_KEPT,
                                             &error),
                  PARLOOM_OK);
        EXPECT_FALSE(parloom_array_is_native(&got));
        EXPECT_EQ(in_c_order(got), read(name + ".kept")) << k;
        parloom_array_release(&got);
    }
}

TEST_F(ByteOrder, IsTurnedKeptOrRefusedAsAsked)
{
    const uint32_t big[] = { htobe32(7), htobe32(8) };
    size_t two = 2;
    parloom_array array = parloom_array_wrap(const_cast<uint32_t *>(big), PARLOOM_U32, 1, &two), got;
    array.flags |= LOOM_ARRAY_SWAPPED;
    std::string file = path("big.npy");
    ASSERT_EQ(parloom_array_dump(&array, file.c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    EXPECT_NE(read(file).find("'>u4'"), std::string::npos);
    for (parloom_byte_order order : { PARLOOM_BYTE_ORDER_UNSET, PARLOOM_BYTE_ORDER_NATIVE, PARLOOM_BYTE_ORDER_KEPT }) {
        ASSERT_EQ(parloom_array_load_ordered(&got, file.c_str(), PARLOOM_MMAP_UNSET, order, &error), PARLOOM_OK);
        EXPECT_EQ(parloom_array_is_native(&got), order != PARLOOM_BYTE_ORDER_KEPT);
        EXPECT_EQ(static_cast<uint32_t *>(got.data)[1], order == PARLOOM_BYTE_ORDER_KEPT ? big[1] : 8);
        parloom_arg args[] = { parloom_in_array(&got) };
        EXPECT_EQ(parloom_for(1, do_nothing, args, 1, nullptr, &error),
                  order == PARLOOM_BYTE_ORDER_KEPT ? PARLOOM_ERR_UNSUPPORTED : PARLOOM_OK);
        parloom_array_release(&got);
    }
    ASSERT_EQ(parloom_array_load_ordered(&got, file.c_str(), PARLOOM_MMAP_R, PARLOOM_BYTE_ORDER_UNSET, &error),
              PARLOOM_OK);
    EXPECT_FALSE(parloom_array_is_native(&got));
    /* Asked for: the same bytes as items that parloom knows nothing of. */
    parloom_array items = parloom_array_wrap_strided(got.data, PARLOOM_ITEM, 4, 1, &two, nullptr);
    parloom_arg args[] = { parloom_in_array(&items) };
    EXPECT_EQ(parloom_for(1, do_nothing, args, 1, nullptr, &error), PARLOOM_OK) << error.message;
    parloom_array_release(&got);
    /* Before the file is looked at. */
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_W, PARLOOM_MMAP_C })
        EXPECT_EQ(parloom_array_load_ordered(&got, path("none").c_str(), mode, PARLOOM_BYTE_ORDER_NATIVE, &error),
                  PARLOOM_ERR_INVALID);
    EXPECT_EQ(
        parloom_array_load_ordered(&got, file.c_str(), PARLOOM_MMAP_UNSET, static_cast<parloom_byte_order>(7), &error),
        PARLOOM_ERR_INVALID);
}

/* 100 bytes of header that claim fields without end. */
/* Longer than the pieces in which it is read, in huge pages and without; the last piece is short. */
TEST_F(ByteOrder, OfALongFileIsTurnedWherePiecesMeet)
{
    std::vector<uint64_t> items((size_t{ 5 } << 20) / 8 + 3);
    for (size_t k = 0; k < items.size(); k++) items[k] = k * UINT64_C(0x9e3779b97f4a7c15);
    size_t count = items.size();
    parloom_array array = parloom_array_wrap(items.data(), PARLOOM_U64, 1, &count), got;
    ASSERT_EQ(parloom_array_dump(&array, path("a.npy").c_str(), nullptr, 0, &error), PARLOOM_OK) << error.message;
    std::string bytes = read(path("a.npy"));
    bytes[bytes.find('<')] = '>';
    write(path("b.npy"), bytes);
    for (uint64_t &item : items) item = htobe64(item); /* what the bytes mean, wherever this runs */
    for (int round = 0; round < 2; round++) {
#ifdef PARLOOM_FAULTS
        if (round == 1) loom_fault_arm(LOOM_FAULT_COLLAPSE, 2, ENOMEM, true);
#endif
        parloom_status status = parloom_array_load(&got, path("b.npy").c_str(), PARLOOM_MMAP_UNSET, &error);
#ifdef PARLOOM_FAULTS
        loom_fault_disarm();
#endif
        ASSERT_EQ(status, PARLOOM_OK) << error.message;
        EXPECT_TRUE(parloom_array_is_native(&got));
        EXPECT_EQ(std::memcmp(got.data, items.data(), count * 8), 0) << round;
        parloom_array_release(&got);
    }
}

TEST_F(ByteOrder, OfRecordsWithFieldsWithoutEndIsAStatus)
{
    std::string type = "[('a', [('b', '>u2'), ('c', '|u1')], (100000,))]";
    std::string dictionary = "{'descr': " + type + ", 'fortran_order': False, 'shape': (2,), }\n";
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(dictionary.size());
    bytes += '\0';
    write(path("a.npy"), bytes + dictionary + std::string(600000, 'x'));
    parloom_array got;
    EXPECT_EQ(parloom_array_load(&got, path("a.npy").c_str(), PARLOOM_MMAP_UNSET, &error), PARLOOM_ERR_UNSUPPORTED);
    ASSERT_EQ(
        parloom_array_load_ordered(&got, path("a.npy").c_str(), PARLOOM_MMAP_UNSET, PARLOOM_BYTE_ORDER_KEPT, &error),
        PARLOOM_OK)
        << error.message;
    parloom_array_release(&got);
}
