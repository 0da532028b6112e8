/* SPDX-License-Identifier: BSD-3-Clause */
/* D1: arrays in files: dumped, loaded, mapped, and several in one. */
#include "conformance/conformance.h"
#include "support/mapped.h"
#include "support/scratch.h"

#include <endian.h>
#include <type_traits>

using namespace conformance;

namespace
{

/* How archives are written: as joblib's compress off, on, 0, 3 and zlib. */
struct way {
    const char *codec;
    int level;
};
#ifdef PARLOOM_HAVE_ZLIB
const way ways[] = { { nullptr, 0 }, { "zlib", 0 }, { "zlib", 1 }, { "zlib", 3 } };
#else
const way ways[] = { { nullptr, 0 } };
#endif

/* The items in C order. */
std::string bytes_of(const parloom_array &array)
{
    std::string bytes;
    size_t index[PARLOOM_MAX_NDIM] = {};
    if (parloom_array_nbytes(&array) == 0) return bytes;
    for (;;) {
        const char *at = static_cast<const char *>(array.data);
        for (int axis = 0; axis < array.ndim; axis++) at += static_cast<ptrdiff_t>(index[axis]) * array.strides[axis];
        bytes.append(at, array.item_nbytes);
        int axis = array.ndim - 1;
        while (axis >= 0 && ++index[axis] == array.shape[axis]) index[axis--] = 0;
        if (axis < 0) return bytes;
    }
}

parloom_array fortran(parloom_array array)
{
    ptrdiff_t step = static_cast<ptrdiff_t>(array.item_nbytes);
    for (int axis = 0; axis < array.ndim; axis++) {
        array.strides[axis] = step;
        step *= static_cast<ptrdiff_t>(array.shape[axis]);
    }
    return array;
}

class File
{
  public:
    explicit File(const std::string &name) : path(folder.path + "/" + name) {}
    Folder folder;
    std::string path;
};

class Loaded
{
  public:
    explicit Loaded(const std::string &path, parloom_mmap_mode mode = PARLOOM_MMAP_UNSET,
                    parloom_byte_order order = PARLOOM_BYTE_ORDER_UNSET)
    {
        parloom_error error;
        EXPECT_EQ(parloom_array_load_ordered(&array, path.c_str(), mode, order, &error), PARLOOM_OK) << error.message;
    }
    ~Loaded() { parloom_array_release(&array); }
    Loaded(const Loaded &) = delete;
    Loaded &operator=(const Loaded &) = delete;
    parloom_array array = {};
};

class Archive
{
  public:
    explicit Archive(const std::string &path)
    {
        parloom_error error;
        EXPECT_EQ(parloom_npz_open(&npz, path.c_str(), &error), PARLOOM_OK) << error.message;
    }
    ~Archive()
    {
        for (parloom_array &array : arrays) parloom_array_release(&array);
        parloom_npz_close(npz);
    }
    Archive(const Archive &) = delete;
    Archive &operator=(const Archive &) = delete;
    parloom_array load(const std::string &name, parloom_mmap_mode mode = PARLOOM_MMAP_UNSET)
    {
        parloom_array array = {};
        parloom_error error;
        EXPECT_EQ(parloom_npz_load(&array, npz, name.c_str(), mode, &error), PARLOOM_OK) << error.message;
        arrays.push_back(array);
        return array;
    }
    parloom_npz *npz = nullptr;
    std::vector<parloom_array> arrays;
};

void dump_archive(const std::string &path, const std::vector<std::string> &names,
                  const std::vector<parloom_array> &arrays, const way &how)
{
    std::vector<const char *> pointers;
    parloom_error error;
    for (const std::string &name : names) pointers.push_back(name.c_str());
    ASSERT_EQ(
        parloom_npz_dump(path.c_str(), pointers.data(), arrays.data(), arrays.size(), how.codec, how.level, &error),
        PARLOOM_OK)
        << error.message;
}

/* In a task, what the argument's items are; args[1]: as many bytes. */
int copy_items(const parloom_task *, void *const *args)
{
    const std::string bytes = bytes_of(*static_cast<const parloom_array *>(args[0]));
    memcpy(args[1], bytes.data(), bytes.size());
    return 0;
}

} // namespace

TEST_F(Conformance, D1_01_BasicTypesRoundTrip)
{
    const std::vector<std::pair<parloom_dtype, size_t>> types = {
        { PARLOOM_BOOL, 1 }, { PARLOOM_I8, 1 },  { PARLOOM_I16, 2 },  { PARLOOM_I32, 4 }, { PARLOOM_I64, 8 },
        { PARLOOM_U8, 1 },   { PARLOOM_U16, 2 }, { PARLOOM_U32, 4 },  { PARLOOM_U64, 8 }, { PARLOOM_F32, 4 },
        { PARLOOM_F64, 8 },  { PARLOOM_C64, 8 }, { PARLOOM_C128, 16 }
    };
    std::string memory(16 * 12, '\1'), text = "a string of bytes";
    size_t shape[] = { 3, 4 }, length = text.size();
    std::vector<std::string> names;
    std::vector<parloom_array> arrays;
    for (size_t k = 0; k < memory.size(); k++) memory[k] = static_cast<char>(k % 3 == 0);
    for (const auto &[dtype, nbytes] : types)
        for (int ndim : { 0, 2 }) { /* scalars, and arrays */
            names.push_back(std::to_string(dtype) + "-" + std::to_string(ndim));
            arrays.push_back(parloom_array_wrap_strided(memory.data(), dtype, nbytes, ndim, shape, nullptr));
        }
    names.emplace_back("text");
    arrays.push_back(parloom_array_wrap_strided(text.data(), PARLOOM_ITEM, length, 0, nullptr, nullptr));
    for (const way &how : ways) {
        File file("all.npz");
        ASSERT_NO_FATAL_FAILURE(dump_archive(file.path, names, arrays, how));
        Archive archive(file.path);
        ASSERT_EQ(parloom_npz_count(archive.npz), arrays.size());
        for (size_t k = 0; k < arrays.size(); k++) {
            parloom_array got = archive.load(names[k]);
            EXPECT_EQ(got.dtype, arrays[k].dtype);
            EXPECT_EQ(got.ndim, arrays[k].ndim);
            EXPECT_EQ(bytes_of(got), bytes_of(arrays[k])) << names[k];
        }
    }
    for (const way &how : ways)
        for (size_t k = 0; k < arrays.size(); k++) {
            File file("one.npy");
            ASSERT_OK(parloom_array_dump(&arrays[k], file.path.c_str(), how.codec, how.level, &error));
            Loaded got(file.path);
            EXPECT_EQ(got.array.dtype, arrays[k].dtype);
            EXPECT_EQ(bytes_of(got.array), bytes_of(arrays[k])) << names[k];
        }
}

/* What Python tells when it runs, the compiler tells of a C program: array and path are no two of a kind. */
TEST_F(Conformance, D1_02_ArgumentsInTheWrongOrder)
{
    using dump = decltype(&parloom_array_dump);
    EXPECT_TRUE((std::is_invocable_v<dump, parloom_array *, const char *, const char *, int, parloom_error *>));
    EXPECT_FALSE((std::is_invocable_v<dump, const char *, parloom_array *, const char *, int, parloom_error *>));
    File file("a.npy");
    parloom_array none = {};
    EXPECT_EQ(parloom_array_dump(&none, file.path.c_str(), nullptr, 0, &error), PARLOOM_ERR_INVALID);
    EXPECT_NE(access(file.path.c_str(), F_OK), 0);
}

TEST_F(Conformance, D1_04_OrdersAndSeveralArraysInOneFile)
{
    std::vector<double> a(60), b(24);
    for (size_t k = 0; k < a.size(); k++) a[k] = 1.0 / static_cast<double>(k + 1);
    for (size_t k = 0; k < b.size(); k++) b[k] = -static_cast<double>(k);
    size_t shape[] = { 3, 4, 5 }, small[] = { 4, 6 };
    const std::vector<parloom_array> arrays = { parloom_array_wrap(a.data(), PARLOOM_F64, 3, shape),
                                                fortran(parloom_array_wrap(b.data(), PARLOOM_F64, 2, small)) };
    for (const way &how : ways) {
        File file("several.npz");
        ASSERT_NO_FATAL_FAILURE(dump_archive(file.path, { "c", "fortran" }, arrays, how));
        Archive archive(file.path);
        EXPECT_EQ(bytes_of(archive.load("c")), bytes_of(arrays[0]));
        parloom_array got = archive.load("fortran");
        EXPECT_EQ(bytes_of(got), bytes_of(arrays[1]));
        EXPECT_EQ(got.strides[0], 8);
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator(file.folder.path), {}), 1);
    }
    for (const way &how : ways)
        for (const parloom_array &array : arrays) {
            File file("one.npy");
            ASSERT_OK(parloom_array_dump(&array, file.path.c_str(), how.codec, how.level, &error));
            Loaded got(file.path);
            EXPECT_EQ(bytes_of(got.array), bytes_of(array));
            EXPECT_EQ(got.array.strides[0], array.strides[0]);
        }
}

TEST_F(Conformance, D1_07_ModeRIsMappedAndNotWritable)
{
    std::vector<double> data(5000, 2.5);
    size_t n = data.size();
    File file("a.npy");
    parloom_array array = parloom_array_wrap(data.data(), PARLOOM_F64, 1, &n);
    ASSERT_OK(parloom_array_dump(&array, file.path.c_str(), nullptr, 0, &error));
    Loaded mapped(file.path, PARLOOM_MMAP_R);
    EXPECT_TRUE(parloom_array_is_memmap(&mapped.array));
    EXPECT_EQ(loom::mapped_file(mapped.array.data), file.path);
    EXPECT_FALSE(parloom_array_is_writable(&mapped.array));
    EXPECT_EQ(bytes_of(mapped.array), bytes_of(array));
    parloom_arg args[] = { parloom_inout_array(&mapped.array) };
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        EXPECT_EQ(parloom_for(1, do_nothing, args, 1, &given, &error), PARLOOM_ERR_INVALID) << backend;
    }
    /* Python objects would be code: they are refused, mapped or not. */
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(file.folder.path, "import numpy as np\nnp.save('o.npy', np.array([{}, []], dtype=object))\n"),
              "");
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R }) {
        parloom_array got;
        EXPECT_EQ(parloom_array_load(&got, (file.folder.path + "/o.npy").c_str(), mode, &error),
                  PARLOOM_ERR_UNSUPPORTED);
        EXPECT_TRUE(says(error, "Python objects")) << error.message;
    }
}

TEST_F(Conformance, D1_08_ModeRPlusReachesTheFileAndWPlusIsTheSame)
{
    std::vector<double> data(1000);
    size_t n = data.size();
    parloom_array array = parloom_array_wrap(data.data(), PARLOOM_F64, 1, &n);
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_RW, PARLOOM_MMAP_W }) {
        File file("a.npy");
        data.assign(n, 1);
        ASSERT_OK(parloom_array_dump(&array, file.path.c_str(), nullptr, 0, &error));
        {
            Loaded mapped(file.path, mode);
            EXPECT_EQ(loom::mapped_file(mapped.array.data), file.path);
            EXPECT_EQ(bytes_of(mapped.array), bytes_of(array)) << "never truncated";
            static_cast<double *>(mapped.array.data)[7] = 3;
        }
        data[7] = 3;
        EXPECT_EQ(bytes_of(Loaded(file.path).array), bytes_of(array));
    }
}

TEST_F(Conformance, D1_09_NumbersBesideObjectsAreMapped)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    File file("mixed.npz");
    std::vector<double> data(100, 0.5);
    size_t n = data.size();
    parloom_array array = parloom_array_wrap(data.data(), PARLOOM_F64, 1, &n), got;
    ASSERT_NO_FATAL_FAILURE(dump_archive(file.path, { "numbers" }, { array }, ways[0]));
    ASSERT_EQ(run_python(file.folder.path,
                         "import io, zipfile\nimport numpy as np\nfile = io.BytesIO()\n"
                         "np.save(file, np.array([{}, 1], dtype=object))\n"
                         "zipfile.ZipFile('mixed.npz', 'a').writestr('objects.npy', file.getvalue())\n"
                         "assert np.load('mixed.npz', allow_pickle=True)['objects'][1] == 1\n"),
              "");
    Archive archive(file.path);
    ASSERT_EQ(parloom_npz_count(archive.npz), 2u);
    parloom_array mapped = archive.load("numbers", PARLOOM_MMAP_R);
    EXPECT_TRUE(parloom_array_is_memmap(&mapped));
    EXPECT_EQ(loom::mapped_file(mapped.data), file.path);
    EXPECT_EQ(bytes_of(mapped), bytes_of(array));
    EXPECT_EQ(parloom_npz_load(&got, archive.npz, "objects", PARLOOM_MMAP_R, &error), PARLOOM_ERR_UNSUPPORTED);
}

/* A file of two 32-bit numbers in the other byte order. */
static void write_foreign(const std::string &path)
{
    uint32_t numbers[] = { __builtin_bswap32(5), __builtin_bswap32(6) };
    std::string order = __BYTE_ORDER == __LITTLE_ENDIAN ? ">" : "<";
    std::string header = "{'descr': '" + order + "u4', 'fortran_order': False, 'shape': (2,), }";
    header.resize(117, ' ');
    std::ofstream file(path, std::ios::binary);
    file << std::string("\x93NUMPY\x01\x00\x76\x00", 10) << header << "\n";
    file.write(reinterpret_cast<const char *>(numbers), sizeof numbers);
}

TEST_F(Conformance, D1_15_ByteOrderIsNativeOrKept)
{
    File file("foreign.npy");
    uint32_t numbers[] = { 5, 6 };
    size_t two = 2;
    parloom_array array = parloom_array_wrap(numbers, PARLOOM_U32, 1, &two);
    write_foreign(file.path);
    std::string native = file.folder.path + "/native.npy";
    ASSERT_OK(parloom_array_dump(&array, native.c_str(), nullptr, 0, &error));
    for (parloom_byte_order order : { PARLOOM_BYTE_ORDER_UNSET, PARLOOM_BYTE_ORDER_NATIVE })
        for (const std::string &path : { file.path, native }) {
            Loaded got(path, PARLOOM_MMAP_UNSET, order);
            EXPECT_EQ(got.array.dtype, PARLOOM_U32);
            EXPECT_TRUE(parloom_array_is_native(&got.array));
            EXPECT_EQ(bytes_of(got.array), bytes_of(array));
        }
    Loaded kept(file.path, PARLOOM_MMAP_UNSET, PARLOOM_BYTE_ORDER_KEPT),
        same(native, PARLOOM_MMAP_UNSET, PARLOOM_BYTE_ORDER_KEPT);
    EXPECT_FALSE(parloom_array_is_native(&kept.array));
    EXPECT_TRUE(parloom_array_is_native(&same.array));
    EXPECT_EQ(static_cast<uint32_t *>(kept.array.data)[0], __builtin_bswap32(5));
    /* Mapped it keeps its order, is flagged, and is no argument unless it is passed as items. */
    Loaded mapped(file.path, PARLOOM_MMAP_R);
    EXPECT_FALSE(parloom_array_is_native(&mapped.array));
    parloom_array items = parloom_array_wrap_strided(mapped.array.data, PARLOOM_ITEM, 4, 1, &two, nullptr);
    for (const char *backend : every_backend) {
        parloom_options given = on(backend);
        parloom_arg refused[] = { parloom_in_array(&mapped.array) };
        EXPECT_EQ(parloom_for(1, do_nothing, refused, 1, &given, &error), PARLOOM_ERR_UNSUPPORTED) << backend;
        Shared<char> seen(8);
        parloom_arg args[] = { parloom_in_array(&items), parloom_inout(seen.get(), 8) };
        ASSERT_OK(parloom_for(1, copy_items, args, 2, &given, &error)) << backend;
        EXPECT_EQ(std::string(seen.get(), 8), bytes_of(mapped.array)) << backend;
    }
}

TEST_F(Conformance, D1_16_NativeOrderWithAModeIsAnError)
{
    parloom_array got;
    for (parloom_mmap_mode mode : { PARLOOM_MMAP_R, PARLOOM_MMAP_RW, PARLOOM_MMAP_W, PARLOOM_MMAP_C })
        EXPECT_EQ(
            parloom_array_load_ordered(&got, "/there/is/no/such/file.npy", mode, PARLOOM_BYTE_ORDER_NATIVE, &error),
            PARLOOM_ERR_INVALID)
            << "before the file is touched";
}

TEST_F(Conformance, D1_19_ByteOrderOfStructuresIsDetected)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    File file("record.npy");
    ASSERT_EQ(run_python(file.folder.path, R"(
import numpy as np
records = np.array([(1, 2.5, (3, 4)), (5, 6.5, (7, 8))], dtype=[('a', 'i4'), ('b', 'f8'), ('c', 'u2', (2,))])
for name, order in ('record', '<'), ('big', '>'):
    np.save(name + '.npy', records.astype(records.dtype.newbyteorder(order)))
np.save('plain.npy', np.arange(4, dtype='>i8'))
)"),
              "");
    Loaded little(file.path), big(file.folder.path + "/big.npy"), plain(file.folder.path + "/plain.npy");
    EXPECT_EQ(big.array.dtype, PARLOOM_ITEM);
    EXPECT_EQ(big.array.item_nbytes, 16u);
    EXPECT_EQ(bytes_of(big.array), bytes_of(little.array));
    for (const Loaded *each : { &little, &big, &plain }) EXPECT_TRUE(parloom_array_is_native(&each->array));
    EXPECT_EQ(static_cast<int64_t *>(plain.array.data)[3], 3);
    Loaded mapped(file.folder.path + "/big.npy", PARLOOM_MMAP_R);
    EXPECT_EQ(parloom_array_is_native(&mapped.array), __BYTE_ORDER == __BIG_ENDIAN);
}

TEST_F(Conformance, D1_20_NonContiguousArrays)
{
    std::vector<int32_t> data(10 * 12 * 14);
    for (size_t k = 0; k < data.size(); k++) data[k] = static_cast<int32_t>(k * k);
    size_t shape[] = { 10, 12, 14 };
    parloom_array view = parloom_array_wrap(data.data(), PARLOOM_I32, 3, shape);
    ASSERT_OK(parloom_array_slice(&view, &view, 1, 1, 11, 3, &error));
    ASSERT_OK(parloom_array_slice(&view, &view, 2, 2, 14, 2, &error));
    std::swap(view.shape[0], view.shape[2]);
    std::swap(view.strides[0], view.strides[2]);
    File file("view.npy");
    ASSERT_OK(parloom_array_dump(&view, file.path.c_str(), nullptr, 0, &error));
    EXPECT_EQ(bytes_of(Loaded(file.path).array), bytes_of(view));
    for (const way &how : ways) {
        File several("view.npz");
        ASSERT_NO_FATAL_FAILURE(dump_archive(several.path, { "view" }, { view }, how));
        EXPECT_EQ(bytes_of(Archive(several.path).load("view")), bytes_of(view));
    }
}

TEST_F(Conformance, D1_23_SecondArrayBeyondAPage)
{
    std::vector<double> a(3000, 1), b(500);
    for (size_t k = 0; k < b.size(); k++) b[k] = static_cast<double>(k);
    size_t many = a.size(), few = b.size();
    const std::vector<parloom_array> arrays = { parloom_array_wrap(a.data(), PARLOOM_F64, 1, &many),
                                                parloom_array_wrap(b.data(), PARLOOM_F64, 1, &few) };
    File file("two.npz");
    ASSERT_NO_FATAL_FAILURE(dump_archive(file.path, { "a", "b" }, arrays, ways[0]));
    Archive archive(file.path);
    parloom_array mapped = archive.load("b", PARLOOM_MMAP_R);
    EXPECT_EQ(loom::mapped_file(mapped.data), file.path);
    EXPECT_EQ(bytes_of(mapped), bytes_of(arrays[1]));
    for (const char *backend : every_backend) {
        Shared<char> seen(few * 8);
        parloom_report report = empty_report();
        parloom_options given = on(backend);
        given.max_nbytes = 1;
        given.report = &report;
        parloom_arg args[] = { parloom_in_array(&mapped), parloom_inout(seen.get(), few * 8) };
        ASSERT_OK(parloom_for(1, copy_items, args, 2, &given, &error)) << backend;
        EXPECT_EQ(std::string(seen.get(), few * 8), bytes_of(mapped)) << backend;
        EXPECT_EQ(report.spilled_nbytes, 0u) << backend;
    }
}

TEST_F(Conformance, D1_24_EveryArrayMapsAligned)
{
    std::string bytes(23, 'x');
    for (size_t n = 2; n < 24; n++) {
        std::vector<std::string> names;
        std::vector<parloom_array> arrays;
        for (size_t k = 2; k <= n; k++) {
            names.push_back(std::string(k, 'n') + std::to_string(k));
            arrays.push_back(parloom_array_wrap(bytes.data(), PARLOOM_U8, 1, &k));
        }
        File file("odd.npz");
        ASSERT_NO_FATAL_FAILURE(dump_archive(file.path, names, arrays, ways[0]));
        Archive archive(file.path);
        for (size_t k = 0; k < arrays.size(); k++) {
            parloom_array mapped = archive.load(names[k], PARLOOM_MMAP_R);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(mapped.data) % 64, 0u) << names[k];
            EXPECT_EQ(loom::mapped_file(mapped.data), file.path) << names[k];
            EXPECT_EQ(bytes_of(mapped), bytes_of(arrays[k]));
        }
    }
}
