/*
 * The floor: the least that a WebSocket relay can do, in C on epoll, one thread.
 *
 * It prints its address and runs until it is interrupted. Two sockets that ask for the same path
 * are partners; each message of one goes to the other, unmasked, all that one read has brought in
 * one write. It does what RFC 6455 wants of a server and nothing else: no state, no record, and of
 * a text it does not check that it is UTF-8.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REQUEST_MAX = 8 * 1024,
    KEY_BYTES = 24,
    ACCEPT_BYTES = KEY_BYTES + 36,
    NAME_MAX_BYTES = 128,
    READ_BYTES = 256 * 1024,     /* Room for what was left of a frame, and for as much again. */
    UNSENT_MAX = 8 * 1024 * 1024, /* A partner who is so far behind is dropped. */
    EVENTS = 256,
    BACKLOG = 1024,
};

typedef struct side {
    int fd;
    int upgraded;
    int closed;
    struct side *partner;
    struct side *next;           /* Of those who wait for a partner, or of the dead. */
    char path[NAME_MAX_BYTES];
    uint8_t *rest;               /* The beginning of a frame, or of the request. */
    size_t rest_size;
    uint8_t *unsent;
    size_t unsent_size;
} side;

static int poller;
static side *waiting;
static side *dead;               /* Freed when no event of this turn can name them any more. */
static uint8_t in[READ_BYTES];
static uint8_t out[READ_BYTES];

/* --- the handshake: SHA-1 and base64 ------------------------------------------------------- */

static uint32_t rotated(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t *block) {
    uint32_t w[80];
    memcpy(w, block, 64);
    for (int i = 0; i < 16; i++) {
        w[i] = ntohl(w[i]);
    }
    for (int i = 16; i < 80; i++) {
        w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        static const uint32_t k[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
        uint32_t f = i < 20               ? (b & c) | (~b & d)
                     : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d)
                                          : b ^ c ^ d;
        uint32_t next = rotated(a, 5) + f + e + k[i / 20] + w[i];
        e = d, d = c, c = rotated(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* Of a key and what belongs behind it, which are two blocks. */
static void sha1(const char text[ACCEPT_BYTES], uint8_t digest[20]) {
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t blocks[128] = {[ACCEPT_BYTES] = 0x80, [126] = ACCEPT_BYTES * 8 >> 8,
                           [127] = ACCEPT_BYTES * 8 & 0xFF};
    memcpy(blocks, text, ACCEPT_BYTES);
    sha1_block(state, blocks);
    sha1_block(state, blocks + 64);
    for (int i = 0; i < 20; i++) {
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

static void base64(const uint8_t digest[20], char text[29]) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 7; i++) {
        uint32_t three = (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 |
                         (i < 6 ? digest[3 * i + 2] : 0);
        for (int j = 0; j < 4; j++) {
            text[4 * i + j] = letters[three >> (18 - 6 * j) & 63];
        }
    }
    text[27] = '=';
    text[28] = 0;
}

/* --- sockets -------------------------------------------------------------------------------- */

/* Take a side out of those who wait: itself, or another of its path; NULL when there is none. */
static side *unlisted(const side *self, int other) {
    for (side **at = &waiting; *at; at = &(*at)->next) {
        side *found = *at;
        if (other ? !strcmp(found->path, self->path) : found == self) {
            *at = found->next;
            return found;
        }
    }
    return NULL;
}

static void drop(side *self) {
    if (self->closed) {
        return;
    }
    self->closed = 1;
    close(self->fd);
    if (self->partner) {
        self->partner->partner = NULL;
    }
    unlisted(self, 0);
    self->next = dead;
    dead = self;
}

static void bury(void) {
    while (dead) {
        side *gone = dead;
        dead = gone->next;
        free(gone->rest);
        free(gone->unsent);
        free(gone);
    }
}

static void watch(side *self, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = self};
    epoll_ctl(poller, how, self->fd, &event);
}

static void *some(void *memory) {
    if (!memory) {
        abort();
    }
    return memory;
}

/* A copy of some bytes instead of those that were kept before. */
static void keep(uint8_t **kept, size_t *kept_size, const uint8_t *bytes, size_t size) {
    uint8_t *copy = size ? memcpy(some(malloc(size)), bytes, size) : NULL;
    free(*kept);
    *kept = copy;
    *kept_size = size;
}

/* What the socket does not take now is kept, behind what it did not take before. */
static void send_all(side *to, const void *bytes, size_t size) {
    ssize_t sent = 0;
    if (!to->unsent_size) {
        sent = send(to->fd, bytes, size, MSG_NOSIGNAL);
        if (sent == (ssize_t)size) {
            return;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            drop(to);
            return;
        }
        sent = sent < 0 ? 0 : sent;
        watch(to, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    size_t left = size - (size_t)sent, all = to->unsent_size + left;
    if (all > UNSENT_MAX) {
        drop(to);
        return;
    }
    to->unsent = some(realloc(to->unsent, all));
    memcpy(to->unsent + to->unsent_size, (const uint8_t *)bytes + sent, left);
    to->unsent_size = all;
}

static void send_rest(side *self) {
    ssize_t sent = send(self->fd, self->unsent, self->unsent_size, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            drop(self);
        }
        return;
    }
    size_t left = self->unsent_size - (size_t)sent;
    keep(&self->unsent, &self->unsent_size, self->unsent + sent, left);
    if (!left) {
        watch(self, EPOLLIN, EPOLL_CTL_MOD);
    }
}

/* --- what arrives --------------------------------------------------------------------------- */

static void meet(side *self) {
    side *other = unlisted(self, 1);
    if (other) {
        other->partner = self;
        self->partner = other;
    } else {
        self->next = waiting;
        waiting = self;
    }
}

/* What stands behind a header's name; an empty text without it. */
static const char *header(const char *request, const char *name) {
    const char *found = strcasestr(request, name);
    return found ? found + strlen(name) : "";
}

/* Where in `in` the frames begin; 0 when the request is not whole yet, or `self` was dropped. */
static size_t upgrade(side *self, size_t size) {
    static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    uint8_t *end = memmem(in, size, "\r\n\r\n", 4);
    char accept[29], key[ACCEPT_BYTES + 1], answer[256];
    uint8_t digest[20];
    int version;
    if (!end) {
        if (size > REQUEST_MAX) {
            drop(self);
        }
        return 0;
    }
    end[2] = 0;  /* The blank line: a text from here on. */
    char *request = (char *)in, *path = request + 4, *space = strchr(path, ' ');
    if (strncmp(request, "GET ", 4) || !space || space - path >= NAME_MAX_BYTES ||
        sscanf(header(request, "\r\nSec-WebSocket-Version:"), "%d", &version) != 1 ||
        sscanf(header(request, "\r\nSec-WebSocket-Key:"), " %25[^ \r]", key) != 1 ||
        version != 13 || strlen(key) != KEY_BYTES) {
        send_all(self, refusal, sizeof refusal - 1);
        drop(self);
        return 0;
    }
    memcpy(self->path, path, (size_t)(space - path));
    strcat(key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    sha1(key, digest);
    base64(digest, accept);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    self->upgraded = 1;
    send_all(self, answer, (size_t)length);
    if (!self->closed) {
        meet(self);
    }
    return (size_t)(end + 4 - in);
}

/* A frame of the server at `to`; its payload is unmasked on the way. Where it ends. */
static uint8_t *write_frame(uint8_t *to, uint8_t first, const uint8_t *masked, size_t size,
                            const uint8_t mask[4]) {
    *to++ = first;
    if (size < 126) {
        *to++ = (uint8_t)size;
    } else {
        *to++ = 126, *to++ = (uint8_t)(size >> 8), *to++ = (uint8_t)size;
    }
    uint32_t four;
    memcpy(&four, mask, 4);
    uint64_t key = (uint64_t)four << 32 | four, word;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, masked + i, 8);
        word ^= key;
        memcpy(to + i, &word, 8);
    }
    for (; i < size; i++) {
        to[i] = masked[i] ^ mask[i & 3];
    }
    return to + size;
}

/* Relay the whole frames from `at` on; the rest is kept for the next time. */
static void frames(side *self, size_t at, size_t end) {
    uint8_t *relayed = out;
    uint16_t fault = 0;
    while (!self->closed && end - at >= 2) {
        const uint8_t first = in[at], opcode = first & 0x0F, told = in[at + 1] & 0x7F;
        size_t size = told, begin = at + 2;
        if (first & 0x70 || !(in[at + 1] & 0x80) || (opcode > 2 && opcode < 8) || opcode > 10 ||
            (opcode >= 8 && (told > 125 || !(first & 0x80)))) {
            fault = 1002;
            break;
        }
        if (told == 127) {  /* 64 KiB or more, or told as if it were. */
            fault = 1009;
            break;
        }
        if (told == 126) {
            begin += 2;
            if (begin > end) {
                break;
            }
            size = (size_t)in[at + 2] << 8 | in[at + 3];
        }
        if (begin + 4 + size > end) {
            break;
        }
        const uint8_t *mask = in + begin, *payload = mask + 4;
        at = begin + 4 + size;
        if (opcode <= 2) {
            if (self->partner) {
                relayed = write_frame(relayed, first, payload, size, mask);
            }
        } else if (opcode <= 9) {  /* A close is answered with the same, a ping with a pong. */
            uint8_t answer[127];
            uint8_t *stop = write_frame(answer, opcode == 9 ? 0x8A : first, payload, size, mask);
            send_all(self, answer, (size_t)(stop - answer));
            if (opcode == 8) {
                drop(self);
            }
        }
    }
    if (relayed > out && self->partner) {
        send_all(self->partner, out, (size_t)(relayed - out));
    }
    if (fault) {
        const uint8_t said[4] = {0x88, 2, (uint8_t)(fault >> 8), (uint8_t)fault};
        send_all(self, said, sizeof said);
        drop(self);
    }
    keep(&self->rest, &self->rest_size, in + at, end - at);
}

static void readable(side *self) {
    size_t size = self->rest_size, at = 0;
    if (size) {
        memcpy(in, self->rest, size);
    }
    ssize_t got = recv(self->fd, in + size, sizeof in - 1 - size, 0);
    if (got <= 0) {
        if (!got || (errno != EAGAIN && errno != EINTR)) {
            drop(self);
        }
        return;
    }
    size += (size_t)got;
    if (!self->upgraded) {
        at = upgrade(self, size);
    }
    if (self->upgraded) {
        frames(self, at, size);
    } else {
        keep(&self->rest, &self->rest_size, in, size);
    }
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        side *self = some(calloc(1, sizeof *self));
        self->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(self, EPOLLIN, EPOLL_CTL_ADD);
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (listener < 0 || poller < 0 || bind(listener, (struct sockaddr *)&address, size) ||
        listen(listener, BACKLOG) || getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror("floor");
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            side *self = events[i].data.ptr;
            if (!self) {
                accept_all(listener);
                continue;
            }
            if (!self->closed && events[i].events & EPOLLOUT && self->unsent_size) {
                send_rest(self);
            }
            if (!self->closed && events[i].events & ~(uint32_t)EPOLLOUT) {
                readable(self);
            }
        }
        bury();
    }
}
