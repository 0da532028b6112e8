/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hash_sha256.c - SHA-256 out of libcrypto.
 *
 * Opened when it is first asked for: programs that do not ask neither load it nor need it to be there. The name is that
 * of the release whose header was there at build time, whose interface is the one that is used.
 */
#include "rest/hash_state.h"

#ifdef PARLOOM_HAVE_OPENSSL

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>
#include <pthread.h>
#include <string.h>

#define TEXT_OF(number) #number
#define NAME_OF(major)  "libcrypto.so." TEXT_OF(major)
#if OPENSSL_VERSION_MAJOR >= 3
#define LIBCRYPTO NAME_OF(OPENSSL_VERSION_MAJOR)
#else
#define LIBCRYPTO "libcrypto.so.1.1"
#endif

#define LOOM_SHA256_IMPORTS(X) \
    X(EVP_MD_CTX_new) X(EVP_MD_CTX_free) X(EVP_sha256) X(EVP_DigestInit_ex) X(EVP_DigestUpdate) X(EVP_DigestFinal_ex)

#define LOOM_SHA256_DECLARE(name) __typeof__(name) *(name);
static struct {
    LOOM_SHA256_IMPORTS(LOOM_SHA256_DECLARE)
    bool is_usable;
} libcrypto;
static pthread_once_t libcrypto_once = PTHREAD_ONCE_INIT;

static bool import_symbol(void *handle, const char *name, void *pointer_out)
{
    void *symbol = dlsym(handle, name);
    memcpy(pointer_out, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void open_libcrypto(void)
{
    void *handle = dlopen(LIBCRYPTO, RTLD_NOW | RTLD_LOCAL);
    bool is_whole = handle != NULL;
#define LOOM_SHA256_IMPORT(name) is_whole = is_whole && import_symbol(handle, #name, &libcrypto.name);
    LOOM_SHA256_IMPORTS(LOOM_SHA256_IMPORT)
    libcrypto.is_usable = is_whole;
}

bool loom_sha256_is_there(void)
{
    (void)pthread_once(&libcrypto_once, open_libcrypto);
    return libcrypto.is_usable;
}

void *loom_sha256_begin(void)
{
    if (!loom_sha256_is_there()) return NULL;
    EVP_MD_CTX *context = libcrypto.EVP_MD_CTX_new();
    if (context != NULL && libcrypto.EVP_DigestInit_ex(context, libcrypto.EVP_sha256(), NULL) == 1) return context;
    libcrypto.EVP_MD_CTX_free(context);
    return NULL;
}

bool loom_sha256_add(void *sha256, const void *data, size_t nbytes)
{
    return nbytes == 0 || libcrypto.EVP_DigestUpdate(sha256, data, nbytes) == 1;
}

bool loom_sha256_end(void *sha256, unsigned char digest_out[LOOM_HASH_MOST_NBYTES])
{
    unsigned nbytes = 0;
    bool is_done = digest_out != NULL && libcrypto.EVP_DigestFinal_ex(sha256, digest_out, &nbytes) == 1;
    libcrypto.EVP_MD_CTX_free(sha256);
    return is_done;
}

#else

bool loom_sha256_is_there(void)
{
    return false;
}

void *loom_sha256_begin(void)
{
    return NULL;
}

bool loom_sha256_add(void *sha256, const void *data, size_t nbytes)
{
    (void)sha256, (void)data, (void)nbytes;
    return false;
}

bool loom_sha256_end(void *sha256, unsigned char digest_out[LOOM_HASH_MOST_NBYTES])
{
    (void)sha256, (void)digest_out;
    return false;
}

#endif
