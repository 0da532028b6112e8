/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_hostile.cc - files of every kind, cut at every byte and with every bit of their headers turned: read or refused,
 * and never believed in more than they have.
 */
#include "rest/samples.h"
#include "support/corpus.h"
#include "support/scratch.h"

#include "rest/zip_format.h"

#include <cstring>

namespace
{

class Hostile : public Scratch
{
  protected:
    static bool is_refusal(parloom_status status)
    {
        return status == PARLOOM_ERR_FORMAT || status == PARLOOM_ERR_UNSUPPORTED;
    }
    /* Reads all that an array says it has, as a caller would. */
    static void touch(const parloom_array &array)
    {
        volatile char last = 0;
        for (const char byte : in_c_order(array)) last = byte;
        (void)last;
    }
    void expect_read_or_refused(const std::string &file, const std::string &what)
    {
        for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R, PARLOOM_MMAP_C }) {
            parloom_array array;
            parloom_status status = parloom_array_load(&array, file.c_str(), mode, &error);
            if (status == PARLOOM_OK) {
                EXPECT_LE(parloom_array_nbytes(&array), std::filesystem::file_size(file)) << what;
                touch(array);
                parloom_array_release(&array);
            } else {
                EXPECT_TRUE(is_refusal(status)) << what << ": " << error.message;
                EXPECT_NE(std::strstr(error.message, file.c_str()), nullptr) << error.message;
            }
        }
    }
    void expect_archive_survives(const std::string &file, const std::string &what)
    {
        parloom_npz *npz = nullptr;
        parloom_status status = parloom_npz_open(&npz, file.c_str(), &error);
        if (status != PARLOOM_OK) {
            EXPECT_TRUE(is_refusal(status)) << what << ": " << error.message;
            return;
        }
        for (size_t k = 0; k < parloom_npz_count(npz); k++)
            for (parloom_mmap_mode mode : { PARLOOM_MMAP_UNSET, PARLOOM_MMAP_R }) {
                parloom_array array;
                status = parloom_npz_load(&array, npz, parloom_npz_name(npz, k), mode, &error);
                /* Of two members a flipped bit can make one name. */
                EXPECT_TRUE(status == PARLOOM_OK || is_refusal(status)) << what << ": " << error.message;
                if (status != PARLOOM_OK) continue;
                touch(array);
                parloom_array_release(&array);
            }
        parloom_npz_close(npz);
    }
    /* Turns one bit of a file; a second time: back. In place, since making files is what takes long. */
    static void turn(const std::string &file, size_t at, int bit)
    {
        std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
        stream.seekg(static_cast<std::streamoff>(at));
        int byte = stream.get();
        stream.seekp(static_cast<std::streamoff>(at));
        stream.put(static_cast<char>(static_cast<unsigned>(byte) ^ 1U << bit));
    }
    std::string archive(const char *codec)
    {
        std::vector<int16_t> data(40, 3);
        size_t shape[] = { 4, 10 };
        double value = 2;
        parloom_array arrays[] = { parloom_array_wrap(data.data(), PARLOOM_I16, 2, shape),
                                   parloom_array_wrap(&value, PARLOOM_F64, 0, nullptr) };
        const char *names_of[] = { "matrix", "value" };
        EXPECT_EQ(parloom_npz_dump(path("a.npz").c_str(), names_of, arrays, 2, codec, 0, &error), PARLOOM_OK)
            << error.message;
        return read(path("a.npz"));
    }
    parloom_error error = {};
};

void ignore_line(int, const char *, void *) {}

/* Those of the fuzzer's corpus that are whole, with a payload behind them: every version, order and kind of dtype. */
std::vector<std::string> whole_files()
{
    std::vector<std::string> files;
    for (const loom::Kept &kept : loom::corpus("npy"))
        if (!kept.is_bad && kept.bytes.size() < 2000)
            files.push_back(std::string(kept.bytes.begin(), kept.bytes.end()) + std::string(64, '\1'));
    return files;
}

#ifdef PARLOOM_HAVE_ZLIB
const std::vector<const char *> codecs = { nullptr, "zlib" };
#else
const std::vector<const char *> codecs = { nullptr };
#endif

} // namespace

TEST_F(Hostile, FilesCutAnywhereAreReadOrRefused)
{
    std::vector<std::string> files = whole_files();
    ASSERT_GE(files.size(), 20U);
    for (size_t k = 0; k < files.size(); k++) {
        write(path("a.npy"), files[k]);
        for (size_t length = files[k].size(); length-- > 0;) {
            std::filesystem::resize_file(path("a.npy"), length);
            expect_read_or_refused(path("a.npy"), std::to_string(k) + " cut to " + std::to_string(length));
        }
    }
}

TEST_F(Hostile, FilesWithAnyBitOfTheHeaderTurnedAreReadOrRefused)
{
    std::vector<std::string> files = whole_files();
    ASSERT_GE(files.size(), 20U);
    for (size_t k = 0; k < files.size(); k++) {
        write(path("a.npy"), files[k]);
        for (size_t at = 0; at + 64 < files[k].size(); at++) {
            for (int bit = 0; bit < 8; bit++) {
                turn(path("a.npy"), at, bit);
                expect_read_or_refused(path("a.npy"), std::to_string(k) + " byte " + std::to_string(at));
                turn(path("a.npy"), at, bit);
            }
        }
        EXPECT_EQ(read(path("a.npy")), files[k]);
    }
}

TEST_F(Hostile, ArchivesCutAnywhereAreRefused)
{
    parloom_set_log(ignore_line, nullptr);
    for (const char *codec : codecs) {
        std::string whole = archive(codec);
        for (size_t length = whole.size(); length-- > 0;) {
            std::filesystem::resize_file(path("a.npz"), length);
            parloom_npz *npz = nullptr;
            EXPECT_EQ(parloom_npz_open(&npz, path("a.npz").c_str(), &error), PARLOOM_ERR_FORMAT) << length;
        }
    }
    parloom_set_log(nullptr, nullptr);
}

TEST_F(Hostile, ArchivesWithAnyBitTurnedAreReadOrRefused)
{
    parloom_set_log(ignore_line, nullptr);
    for (const char *codec : codecs) {
        std::string whole = archive(codec);
        for (size_t at = 0; at < whole.size(); at++)
            for (int bit = 0; bit < 8; bit++) {
                turn(path("a.npz"), at, bit);
                expect_archive_survives(path("a.npz"), "byte " + std::to_string(at));
                turn(path("a.npz"), at, bit);
            }
    }
    parloom_set_log(nullptr, nullptr);
}

/* A turned bit in the items of a member is found by its checksum. */
TEST_F(Hostile, ArchivesWithTurnedItemsAreFoundOut)
{
    std::string whole = archive(nullptr);
    size_t at = whole.find(std::string("\3\0\3\0\3\0", 6)) + 20;
    whole[at] = static_cast<char>(whole[at] ^ 4);
    write(path("a.npz"), whole);
    parloom_npz *npz = nullptr;
    parloom_array array;
    ASSERT_EQ(parloom_npz_open(&npz, path("a.npz").c_str(), &error), PARLOOM_OK);
    EXPECT_EQ(parloom_npz_load(&array, npz, "matrix", PARLOOM_MMAP_UNSET, &error), PARLOOM_ERR_FORMAT);
    EXPECT_NE(std::strstr(error.message, "checksum"), nullptr) << error.message;
    parloom_npz_close(npz);
}

/* Numbers of the directory and of the ends set to extremes. */
TEST_F(Hostile, ArchivesThatClaimExtremesAreRefused)
{
    parloom_set_log(ignore_line, nullptr);
    std::string whole = archive(nullptr);
    size_t entry = whole.find("PK\1\2"), end = whole.find("PK\5\6");
    ASSERT_NE(entry, std::string::npos);
    const struct {
        size_t at, width;
    } fields[] = { { entry + 10, 2 }, { entry + 20, 4 }, { entry + 24, 4 }, { entry + 28, 2 },
                   { entry + 30, 2 }, { entry + 32, 2 }, { entry + 42, 4 }, { end + 8, 2 },
                   { end + 10, 2 },   { end + 12, 4 },   { end + 16, 4 },   { end + 20, 2 } };
    for (const auto &field : fields)
        for (uint64_t value : { UINT64_C(0), UINT64_C(1), UINT64_C(0x7fffffff), UINT64_C(0xfffffffe), UINT64_MAX }) {
            std::string bytes = whole;
            loom_zip_put(reinterpret_cast<unsigned char *>(bytes.data()), field.at, field.width, value);
            write(path("a.npz"), bytes);
            expect_archive_survives(path("a.npz"), "field at " + std::to_string(field.at));
        }
    parloom_set_log(nullptr, nullptr);
}

/* A few bytes that claim to unpack to 10 GiB, and to what deflate could make of them at most: no memory is taken. */
TEST_F(Hostile, ArchivesThatClaimMoreThanTheyCanHoldTakeNoMemory)
{
    if (codecs.size() < 2) GTEST_SKIP() << "built without zlib";
    std::string whole = archive("zlib");
    size_t entry = whole.find("PK\1\2");
    auto *bytes = reinterpret_cast<unsigned char *>(whole.data());
    for (uint64_t claim : { UINT64_C(0xfffffff0), loom_zip_get(bytes, entry + 20, 4) * 1032 }) {
        loom_zip_put(bytes, entry + 24, 4, claim);
        write(path("a.npz"), whole);
        parloom_npz *npz = nullptr;
        parloom_array array;
        ASSERT_EQ(parloom_npz_open(&npz, path("a.npz").c_str(), &error), PARLOOM_OK);
        EXPECT_EQ(parloom_npz_load(&array, npz, "matrix", PARLOOM_MMAP_UNSET, &error), PARLOOM_ERR_FORMAT);
        parloom_npz_close(npz);
    }
}

TEST_F(Hostile, MembersOfOtherProgramsAreReadOrRefused)
{
    if (!has_numpy()) GTEST_SKIP() << "python3-numpy is not installed";
    ASSERT_EQ(run_python(folder, R"(
import io, zipfile
import numpy as np
def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
with zipfile.ZipFile('a.npz', 'w') as archive:
    archive.comment = b'PK\5\6' + b'x' * 300
    archive.writestr('objects.npy', npy(np.array([None, {}], dtype=object)))
    archive.writestr('bz2.npy', npy(np.arange(50)), zipfile.ZIP_BZIP2)
    archive.writestr('long.npy', npy(np.arange(3)) + b'more')
    archive.writestr('short.npy', npy(np.arange(3))[:-1])
    archive.writestr('none.npy', b'')
    archive.writestr('text.npy', b'no array at all, but text')
    archive.writestr('readme.txt', b'text')
    archive.writestr('good.npy', npy(np.arange(3)))
with open('front.npz', 'wb') as file:
    file.write(b'#!/bin/sh\n')
    with zipfile.ZipFile(file, 'a') as archive:
        archive.writestr('good.npy', npy(np.arange(3)))
)"),
              "");
    parloom_npz *npz = nullptr;
    parloom_array array;
    ASSERT_EQ(parloom_npz_open(&npz, path("a.npz").c_str(), &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(parloom_npz_count(npz), 7U);
    const struct {
        const char *name;
        parloom_status status;
    } members[] = { { "objects", PARLOOM_ERR_UNSUPPORTED }, { "bz2", PARLOOM_ERR_UNSUPPORTED },
                    { "long", PARLOOM_ERR_FORMAT },         { "short", PARLOOM_ERR_FORMAT },
                    { "none", PARLOOM_ERR_FORMAT },         { "text", PARLOOM_ERR_FORMAT },
                    { "readme.txt", PARLOOM_ERR_INVALID },  { "readme", PARLOOM_ERR_INVALID } };
    for (const auto &member : members)
        EXPECT_EQ(parloom_npz_load(&array, npz, member.name, PARLOOM_MMAP_UNSET, &error), member.status)
            << member.name << ": " << error.message;
    ASSERT_EQ(parloom_npz_load(&array, npz, "good", PARLOOM_MMAP_UNSET, &error), PARLOOM_OK) << error.message;
    EXPECT_EQ(static_cast<int64_t *>(array.data)[2], 2);
    parloom_array_release(&array);
    parloom_npz_close(npz);
    ASSERT_EQ(parloom_npz_open(&npz, path("front.npz").c_str(), &error), PARLOOM_OK) << error.message;
    ASSERT_EQ(parloom_npz_load(&array, npz, "good", PARLOOM_MMAP_UNSET, &error), PARLOOM_OK) << error.message;
    parloom_array_release(&array);
    parloom_npz_close(npz);
}

TEST_F(Hostile, WhatIsNoFileIsNoArchive)
{
    parloom_npz *npz = nullptr;
    EXPECT_EQ(parloom_npz_open(&npz, folder.c_str(), &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_open(&npz, "/dev/zero", &error), PARLOOM_ERR_INVALID);
    EXPECT_EQ(parloom_npz_open(&npz, "/proc/self/status", &error), PARLOOM_ERR_FORMAT);
    write(path("a.npz"), std::string(100000, 'x'));
    EXPECT_EQ(parloom_npz_open(&npz, path("a.npz").c_str(), &error), PARLOOM_ERR_FORMAT);
}
