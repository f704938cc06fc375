/* larder_plugin_easy.h: what plugins in C write again and again, around larder_plugin.h.
 *
 * Nobody has to use it, and nothing of it crosses: it is compiled into the plugin. C11 or C++11,
 * with the standard library. "R4" is one of the rules at the top of larder_plugin.h. */
#ifndef LARDER_PLUGIN_EASY_H
#define LARDER_PLUGIN_EASY_H
#include "larder_plugin.h"
#include <stdlib.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------------------ */

static inline larder_slice larder_text(const char *text) {
    larder_slice slice = { (const uint8_t *)text, strlen(text) };
    return slice;
}

/* Whether a text is this word. */
static inline int larder_is(const larder_slice *text, const char *word) {
    size_t len = strlen(word);
    return text->len == len && (len == 0 || memcmp(text->ptr, word, len) == 0);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Says why, and returns the status. Message and hint stay where they are; the hint may be NULL. */
static inline int32_t larder_fail(larder_error *error, int32_t status, const char *message,
                                  const char *hint) {
    if (!error) return status;
    error->code = status;
    error->message.ptr = (const uint8_t *)message;
    error->message.len = strlen(message);
    error->hint.ptr = (const uint8_t *)hint;
    error->hint.len = hint ? strlen(hint) : 0;
    return status;
}

static inline int32_t larder_no_memory(larder_error *error) {
    return larder_fail(error, LARDER_CAPACITY, "there is no memory", NULL);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* A copy, to free: inputs are gone when the function returns (R4). NULL if there is no memory. */
static inline uint8_t *larder_copy(const uint8_t *from, size_t len) {
    uint8_t *copy = (uint8_t *)malloc(len ? len : 1);
    if (copy && len) memcpy(copy, from, len);
    return copy;
}

/* Bytes of malloc, which the host frees when it is done with them; nobody shares them. */
static inline void larder_retain_never(void *owner) { (void)owner; }
static const larder_bytes_vt larder_malloc_vt = { larder_retain_never, free };

/* Room for bytes to put out: the scratch of the host, if it is enough, else memory that the host
 * frees (R4). NULL if there is none. */
static inline uint8_t *larder_room_in(uint8_t *scratch, size_t scratch_cap, size_t len,
                                      larder_bytes *out) {
    int fits = scratch && len <= scratch_cap;
    uint8_t *at = fits ? scratch : (uint8_t *)malloc(len ? len : 1);
    out->ptr = at;
    out->len = fits || at ? len : 0;
    out->owner = fits ? NULL : at;
    out->vt = fits || !at ? NULL : &larder_malloc_vt;
    return at;
}

static inline uint8_t *larder_room(larder_output *out, size_t len) {
    return larder_room_in(out->scratch, out->scratch_cap, len, &out->bytes);
}

/* ---- options --------------------------------------------------------------------------------- */

/* The value behind a name, for options that are not nested: the host has checked them against the
 * schema. NULL if it is not there. */
static inline const uint8_t *larder_option(const larder_slice *json, const char *name) {
    size_t len = strlen(name);
    const uint8_t *end = json->ptr + json->len;
    for (size_t at = 0; at + len + 3 < json->len; at++) {
        const uint8_t *here = json->ptr + at;
        if (here[0] != '"' || memcmp(here + 1, name, len) != 0 || here[len + 1] != '"') continue;
        for (here += len + 2; here < end && (*here == ' ' || *here == ':'); here++) {}
        if (here > json->ptr + at + len + 2 && here < end) return here;
    }
    return NULL;
}

static inline uint64_t larder_number(const larder_slice *json, const char *name,
                                     uint64_t otherwise) {
    const uint8_t *at = larder_option(json, name), *end = json->ptr + json->len;
    uint64_t number = 0;
    if (!at) return otherwise;
    for (; at < end && *at >= '0' && *at <= '9'; at++) number = number * 10 + (uint64_t)(*at - '0');
    return number;
}

/* A text, to free, with a 0 at its end; the other one if it is not there. An escape other than
 * those of " and \ is taken as it stands. NULL if there is no memory. */
static inline char *larder_string(const larder_slice *json, const char *name,
                                  const char *otherwise) {
    const uint8_t *at = larder_option(json, name), *end = json->ptr + json->len;
    size_t len = 0;
    if (!at || *at != '"')
        return (char *)larder_copy((const uint8_t *)otherwise, strlen(otherwise) + 1);
    char *text = (char *)malloc((size_t)(end - at));
    for (at++; text && at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end && (at[1] == '"' || at[1] == '\\')) at++;
        text[len++] = (char)*at;
    }
    if (text) text[len] = '\0';
    return text;
}

/* ---- the plugin ------------------------------------------------------------------------------ */

/* Once in a plugin, at file level, at its end: stamp, descriptor and entry. After the name and the
 * version come the addresses of the components. */
#define LARDER_DEFINE_PLUGIN(NAME, VERSION, ...) \
    LARDER_DEFINE_PLUGIN_WITH(NAME, VERSION, NULL, NULL, __VA_ARGS__)

/* With the functions shutdown and query, each of which may be NULL. */
#define LARDER_DEFINE_PLUGIN_WITH(NAME, VERSION, SHUTDOWN, QUERY, ...) \
    LARDER_DEFINE_STAMP(NAME, "any", 0); \
    static const larder_component *const larder_components_of_plugin[] = { __VA_ARGS__ }; \
    static const larder_plugin larder_this_plugin = { \
        sizeof(larder_plugin), LARDER_ABI_MAJOR, LARDER_TARGET_MINOR, 0, 0, 0, LARDER_STR(NAME), \
        LARDER_STR(VERSION), { NULL, 0 }, larder_components_of_plugin, \
        sizeof larder_components_of_plugin / sizeof *larder_components_of_plugin, SHUTDOWN, \
        QUERY }; \
    LARDER_EXPORT int32_t larder_entry_v1(const larder_host *host, const larder_plugin **out, \
                                          larder_error *error) { \
        (void)host, (void)error; \
        *out = &larder_this_plugin; \
        return LARDER_OK; \
    } \
    struct larder_plugin_is_defined

#endif /* LARDER_PLUGIN_EASY_H */
