/* What a plugin may do wrong, each by the key that asks for it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const larder_host *the_host;

/* Does not return, on a thread whose name says so. */
static void hang(void) {
    pthread_setname_np(pthread_self(), "hangs");
    for (;;) pause();
}

/* For a cache whose name is a path: hangs if there is a file, and makes it. */
static int32_t poisoned_create(const larder_create *args, void **self, larder_error *error) {
    char path[256] = {0};
    the_host = args->host;
    if (args->cache.len > 0 && args->cache.len < sizeof path && args->cache.ptr[0] == '/') {
        memcpy(path, args->cache.ptr, args->cache.len);
        if (access(path, F_OK) == 0) hang();
        close(open(path, O_CREAT | O_WRONLY, 0600));
    }
    return shelf_create(args, self, error);
}

static int asks_for(const larder_key *key, const char *what) {
    return key->len == strlen(what) && memcmp(key->ptr, what, key->len) == 0;
}

/* Writes to every socket of the process: one of them is the connection to the program. */
static void scribble(const char *bytes, size_t len) {
    for (int file = 3; file < 200; file++) {
        struct stat found;
        if (fstat(file, &found) == 0 && S_ISSOCK(found.st_mode) && write(file, bytes, len) < 0)
            abort();
    }
}

static int32_t poisoned_get(void *instance, const larder_call *call, const larder_key *key,
                            larder_read *out, larder_error *error) {
    static const char torn[] = {16, 0, 0, 0, 1};
    static const char garbage[] = {4, 0, 0, 0, (char)0xc1, 1, 2, 3};
    if (asks_for(key, "abort")) abort();
    if (asks_for(key, "segfault")) *(volatile int *)8 = 1;
    if (asks_for(key, "exit")) _exit(7);
    if (asks_for(key, "hang")) hang();
    if (asks_for(key, "fork")) {
        if (fork() == 0) {
            alarm(120);
            for (;;) pause();
        }
        abort();
    }
    if (asks_for(key, "never")) {
        the_host->op_defer(call, 1);
        return LARDER_PENDING;
    }
    if (asks_for(key, "garbage")) scribble(garbage, sizeof garbage);
    if (asks_for(key, "oversized")) scribble("\xff\xff\xff\xff", 4);
    if (asks_for(key, "torn")) {
        scribble(torn, sizeof torn);
        _exit(0);
    }
    if (asks_for(key, "talk")) {
        printf("said on standard output\n");
        fflush(stdout);
        fprintf(stderr, "said on standard error\n");
    }
    return shelf_get(instance, call, key, out, error);
}

static int32_t validate(const larder_slice *json, larder_error *error) {
    static const char problems[] =
        "[{\"pointer\": \"/capacity\", \"message\": \"13 brings bad luck\"}]";
    char text[64] = {0};
    if (json->len >= sizeof text) return LARDER_OK;
    memcpy(text, json->ptr, json->len);
    if (strstr(text, "\"capacity\":14}")) hang();
    if (!strstr(text, "\"capacity\":13}")) return LARDER_OK;
    error->problems_json.ptr = (const uint8_t *)problems;
    error->problems_json.len = sizeof problems - 1;
    return LARDER_CONFIG;
}
