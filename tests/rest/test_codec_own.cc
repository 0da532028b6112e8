/* SPDX-License-Identifier: BSD-3-Clause */
/* test_codec_own.cc - codecs of the program's own: dumps and loads go through them, and they stay as long as they are
 * used. */
#include "rest/packed.h"
#include "support/waiting.h"

#include <atomic>
#include <thread>

namespace
{

const char MAGIC[] = { 'O', 'W', 'N', '!' };
const unsigned char MASK = 0x5a;

/* What is registered beside the operations. */
struct own_state {
    std::atomic<int> opened{ 0 }, open_now{ 0 };
    std::atomic<bool> is_held{ false }; /* steps wait while it is */
    std::atomic<int> waiting{ 0 };
    bool fails = false;
};

/* "OWN!", then pieces (their length, 1 to 255, and so many bytes, masked), then a zero. */
struct own_stream {
    own_state *state;
    bool is_reading;
    size_t told = 0; /* of MAGIC */
    size_t left = 0; /* of a piece that is read */
};

bool own_recognise(void *, const void *bytes, size_t nbytes)
{
    return nbytes >= sizeof MAGIC && memcmp(bytes, MAGIC, sizeof MAGIC) == 0;
}

parloom_status own_open(void *state, int level, size_t, void **stream_out, parloom_error *)
{
    auto *own = static_cast<own_state *>(state);
    *stream_out = new own_stream{ own, level == PARLOOM_CODEC_DECOMPRESS };
    own->opened++;
    own->open_now++;
    return PARLOOM_OK;
}

void own_close(void *stream)
{
    auto *own = static_cast<own_stream *>(stream);
    own->state->open_now--;
    delete own;
}

void move_on(parloom_codec_step *step, size_t in, size_t out)
{
    step->in = static_cast<const char *>(step->in) + in;
    step->in_nbytes -= in;
    step->out = static_cast<char *>(step->out) + out;
    step->out_nbytes -= out;
}

void mask(parloom_codec_step *step, size_t nbytes)
{
    for (size_t k = 0; k < nbytes; k++)
        static_cast<unsigned char *>(step->out)[k] = static_cast<const unsigned char *>(step->in)[k] ^ MASK;
    move_on(step, nbytes, nbytes);
}

void own_write(own_stream *own, parloom_codec_step *step)
{
    for (; own->told < sizeof MAGIC && step->out_nbytes > 0; own->told++) {
        *static_cast<char *>(step->out) = MAGIC[own->told];
        move_on(step, 0, 1);
    }
    while (step->in_nbytes > 0 && step->out_nbytes > 1) {
        size_t nbytes = std::min({ step->in_nbytes, step->out_nbytes - 1, size_t{ 255 } });
        *static_cast<unsigned char *>(step->out) = static_cast<unsigned char>(nbytes);
        move_on(step, 0, 1);
        mask(step, nbytes);
    }
    if (!step->is_last || step->in_nbytes > 0 || step->out_nbytes == 0 || own->told < sizeof MAGIC) return;
    *static_cast<char *>(step->out) = 0;
    move_on(step, 0, 1);
    step->is_done = true;
}

void own_read(own_stream *own, parloom_codec_step *step)
{
    for (; own->told < sizeof MAGIC && step->in_nbytes > 0; own->told++) move_on(step, 1, 0);
    while (step->in_nbytes > 0 && !step->is_done) {
        if (own->left == 0) {
            own->left = *static_cast<const unsigned char *>(step->in);
            step->is_done = own->left == 0;
            move_on(step, 1, 0);
        } else {
            size_t nbytes = std::min({ step->in_nbytes, step->out_nbytes, own->left });
            if (nbytes == 0) return;
            mask(step, nbytes);
            own->left -= nbytes;
        }
    }
}

parloom_status own_step(void *stream, parloom_codec_step *step, parloom_error *error)
{
    auto *own = static_cast<own_stream *>(stream);
    own->state->waiting++;
    while (own->state->is_held) std::this_thread::yield();
    own->state->waiting--;
    if (own->state->fails) {
        error->status = PARLOOM_ERR_MEMORY;
        snprintf(error->message, sizeof error->message, "the own codec is out of ink");
        return PARLOOM_ERR_MEMORY;
    }
    if (own->is_reading)
        own_read(own, step);
    else
        own_write(own, step);
    return PARLOOM_OK;
}

class CodecOwn : public Packed
{
  protected:
    void enter(unsigned flags, size_t frame_nbytes = 0)
    {
        parloom_codec_ops ops = {};
        ops.struct_size = sizeof ops;
        ops.abi = PARLOOM_CODEC_ABI;
        ops.flags = flags;
        ops.ending = ".own";
        ops.recognise = own_recognise;
        ops.open = own_open;
        ops.step = own_step;
        ops.close = own_close;
        ops.frame_nbytes = frame_nbytes;
        ops.most_expansion = 1;
        ASSERT_EQ(parloom_codec_register("own", &ops, &state, &error), PARLOOM_OK) << error.message;
    }
    void leave()
    {
        EXPECT_EQ(state.open_now, 0);
        EXPECT_EQ(parloom_codec_unregister("own", &error), PARLOOM_OK) << error.message;
    }
    own_state state;
};

} // namespace

TEST_F(CodecOwn, GivesBackWhatItWasGivenWhateverItsFlagsAndFrames)
{
    std::vector<double> values = waves(20000), few = waves(3), none;
    const unsigned all = PARLOOM_CODEC_FRAMES | PARLOOM_CODEC_ITEMS;
    const struct {
        unsigned flags;
        size_t frame_nbytes;
        int streams; /* of the large dump, at least */
    } ways[] = { { 0, 0, 1 },
                 { PARLOOM_CODEC_FRAMES, 0, 1 },
                 { PARLOOM_CODEC_FRAMES, 10000, 10 },
                 { all, 4096, 30 },
                 { all, 100, 1000 } };
    for (const auto &way : ways)
        for (int n_jobs : { 1, 2 }) {
            parloom_options options = PARLOOM_OPTIONS_INIT;
            options.n_jobs = n_jobs;
            ASSERT_NO_FATAL_FAILURE(enter(way.flags, way.frame_nbytes));
            ASSERT_EQ(parloom_scope_begin(&options, &error), PARLOOM_OK);
            for (auto *each : { &none, &few, &values }) {
                state.opened = 0;
                ASSERT_EQ(dump(*each, "a", "own"), PARLOOM_OK) << error.message;
                EXPECT_GE(state.opened, each == &values ? way.streams : 1);
                EXPECT_EQ(read(path("a")).substr(0, 4), "OWN!");
                Loaded loaded(path("a"));
                EXPECT_TRUE(loaded.equals(*each)) << loaded.error.message;
            }
            parloom_scope_end();
            leave();
        }
}

TEST_F(CodecOwn, IsChosenByItsEndingAndKnownByItsFirstBytes)
{
    std::vector<double> values = waves(10);
    ASSERT_NO_FATAL_FAILURE(enter(0));
    ASSERT_EQ(dump(values, "a.npy.own", nullptr), PARLOOM_OK) << error.message;
    std::filesystem::rename(path("a.npy.own"), path("plain"));
    EXPECT_TRUE(Loaded(path("plain")).equals(values));
    leave();
    Loaded unknown(path("plain"));
    EXPECT_EQ(unknown.status, PARLOOM_ERR_FORMAT) << "nobody knows it any more";
    ASSERT_EQ(dump(values, "b.npy.own", nullptr), PARLOOM_OK);
    EXPECT_EQ(read(path("b.npy.own")).substr(1, 5), "NUMPY");
}

TEST_F(CodecOwn, StaysWhileADumpRunsWithIt)
{
    std::vector<double> values = waves(10);
    ASSERT_NO_FATAL_FAILURE(enter(0));
    state.is_held = true;
    std::thread dumping([&] {
        parloom_array array = wrap(values);
        EXPECT_EQ(parloom_array_dump(&array, path("a").c_str(), "own", 0, nullptr), PARLOOM_OK);
    });
    EXPECT_TRUE(loom::comes_true([&] { return state.waiting > 0; }));
    EXPECT_EQ(parloom_codec_unregister("own", &error), PARLOOM_ERR_BUSY);
    EXPECT_NE(strstr(error.message, "own"), nullptr) << error.message;
    state.is_held = false;
    dumping.join();
    EXPECT_TRUE(Loaded(path("a")).equals(values)) << "what is refused changes nothing";
    leave();
}

TEST_F(CodecOwn, ThatFailsIsReportedInItsWordsAndLeavesNothing)
{
    std::vector<double> values = waves(100000);
    ASSERT_NO_FATAL_FAILURE(enter(PARLOOM_CODEC_FRAMES, 10000));
    ASSERT_EQ(dump(values, "kept", "own"), PARLOOM_OK);
    state.fails = true;
    EXPECT_EQ(dump(values, "a", "own"), PARLOOM_ERR_MEMORY);
    EXPECT_NE(strstr(error.message, "out of ink"), nullptr) << error.message;
    EXPECT_FALSE(std::filesystem::exists(path("a")));
    Loaded loaded(path("kept"));
    EXPECT_EQ(loaded.status, PARLOOM_ERR_MEMORY);
    EXPECT_NE(strstr(loaded.error.message, "out of ink"), nullptr) << loaded.error.message;
    leave();
}
