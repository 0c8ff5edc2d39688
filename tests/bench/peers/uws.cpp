// uWebSockets with the least of a handler: who names the same path is a socket's partner.
#include <cstdio>
#include <string>
#include <string_view>
#include <unordered_map>

#include "App.h"

struct Side {
    std::string path;
    uWS::WebSocket<false, true, Side> *partner = nullptr;
};
using Socket = uWS::WebSocket<false, true, Side>;

static std::unordered_map<std::string, Socket *> waiting;

static void met(Socket *socket) {
    Side *side = socket->getUserData();
    auto found = waiting.find(side->path);
    if (found == waiting.end()) {
        waiting.emplace(side->path, socket);
        return;
    }
    side->partner = found->second;
    found->second->getUserData()->partner = socket;
    waiting.erase(found);
}

static void left(Socket *socket) {
    Side *side = socket->getUserData();
    if (side->partner) {
        side->partner->getUserData()->partner = nullptr;
    }
    auto found = waiting.find(side->path);
    if (found != waiting.end() && found->second == socket) {
        waiting.erase(found);
    }
}

int main() {
    uWS::App()
        .ws<Side>("/*", {
            .compression = uWS::DISABLED,
            .maxPayloadLength = 64 * 1024,
            .idleTimeout = 0,  // Its clients here answer no pings, so it must not send any.
            .upgrade = [](auto *answer, auto *request, auto *context) {
                answer->template upgrade<Side>(
                    Side{std::string(request->getUrl())},
                    request->getHeader("sec-websocket-key"),
                    request->getHeader("sec-websocket-protocol"),
                    request->getHeader("sec-websocket-extensions"), context);
            },
            .open = [](auto *socket) { met(socket); },
            .message = [](auto *socket, std::string_view message, uWS::OpCode code) {
                Socket *partner = socket->getUserData()->partner;
                if (partner) {
                    partner->send(message, code);
                }
            },
            .close = [](auto *socket, int, std::string_view) { left(socket); },
        })
        .listen("127.0.0.1", 0, [](us_listen_socket_t *at) {
            if (at) {
                int port = us_socket_local_port(0, reinterpret_cast<us_socket_t *>(at));
                std::printf("http://127.0.0.1:%d\n", port);
                std::fflush(stdout);
            }
        })
        .run();
    return 1;  // It could not listen: otherwise it runs until it is interrupted.
}
