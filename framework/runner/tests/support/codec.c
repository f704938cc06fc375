/* A serializer and a wrapper that change nothing but the first byte, and do harm to bytes that ask
 * for it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder_plugin.h"

LARDER_DEFINE_STAMP("NAME", "tests", 0);

static const larder_host *the_host;

static int32_t create(const larder_create *args, void **self, larder_error *error) {
    (void)args, (void)self, (void)error;
    return LARDER_OK;
}

static void destroy(void *self) { (void)self; }

static int asks_for(const larder_slice *in, const char *what) {
    return memmem(in->ptr, in->len, what, strlen(what)) != NULL;
}

static int32_t encode(void *self, const larder_codec_context *context, const larder_slice *in,
                      larder_output *out, larder_error *error) {
    uint8_t *data;
    (void)self, (void)context, (void)error;
    if (asks_for(in, "abort")) abort();
    if (asks_for(in, "hang"))
        for (;;) pause();
    if (the_host->bytes_new(in->len + 1, &data, &out->bytes) != LARDER_OK) return LARDER_CAPACITY;
    data[0] = 'E';
    memcpy(data + 1, in->ptr, in->len);
    return LARDER_OK;
}

static int32_t decode(void *self, const larder_codec_context *context, const larder_slice *in,
                      larder_output *out, larder_error *error) {
    uint8_t *data;
    (void)self, (void)error;
    if (asks_for(in, "trap")) abort();
    if (in->len == 0 || in->ptr[0] != 'E') return LARDER_SERIALIZATION;
    if (in->len - 1 > context->max_size) return LARDER_SERIALIZATION;
    if (the_host->bytes_new(in->len - 1, &data, &out->bytes) != LARDER_OK) return LARDER_CAPACITY;
    memcpy(data, in->ptr + 1, in->len - 1);
    return LARDER_OK;
}

static int32_t schema(larder_slice *out) {
    static const larder_slice text = LARDER_STR("{\"type\": \"object\"}");
    *out = text;
    return LARDER_OK;
}

#define TABLE(model_) \
    { .struct_size = sizeof(larder_codec_vt), .model = model_, .create = create, \
      .destroy = destroy, .encode = encode, .decode = decode }
static const larder_codec_vt serializer = TABLE(LARDER_CODEC_SERIALIZER);
static const larder_codec_vt wrapper = TABLE(LARDER_CODEC_ENCODE);

#define COMPONENT(name_, table) \
    { .struct_size = sizeof(larder_component), .kind = LARDER_KIND_CODEC, \
      .name = LARDER_STR(name_), .summary = LARDER_STR("for a test"), .vtable = &table, \
      .config_schema = schema }
static const larder_component parts[] = {
    COMPONENT("acme.NAME", serializer),
    COMPONENT("acme.NAME-wrapper", wrapper),
};
static const larder_component *const list[] = { &parts[0], &parts[1] };

static const larder_plugin plugin = {
    .struct_size = sizeof(larder_plugin), .abi_major = LARDER_ABI_MAJOR,
    .name = LARDER_STR("NAME"), .version = LARDER_STR("1.0.0"), .components = list,
    .n_components = 2,
};

LARDER_EXPORT int32_t larder_entry_v1(const larder_host *host, const larder_plugin **out,
                                      larder_error *error) {
    (void)error;
    the_host = host;
    *out = &plugin;
    return LARDER_OK;
}
