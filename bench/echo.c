/* A yardstick, not a broker: what the kernel and the generator take when the server does nothing (bench: latency).
   Every read that begins with SEND is written to the newest subscriber as it is, without a look at it: three system
   calls a message, as many as any server needs that waits for its clients. */

#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char octets[1 << 18];

static void say(int sock, const char *frame, size_t length)
{
    /* With the NUL that ends a string in C, and a frame. */
    if (write(sock, frame, length + 1) < 0)
        close(sock);
}

/* The answers to whole frames of one client; whether one of them was a SUBSCRIBE. */
static int converse(int sock, char *frames, size_t length)
{
    int subscribed = 0;
    for (char *frame = frames; frame < frames + length; frame += strlen(frame) + 1) {
        while (*frame == '\n')
            frame++;
        if (strncmp(frame, "CONNECT\n", 8) == 0)
            say(sock, "CONNECTED\nversion:1.2\nserver:echo\n\n", 35);
        subscribed |= strncmp(frame, "SUBSCRIBE\n", 10) == 0;
        char *receipt = strstr(frame, "\nreceipt:");
        if (receipt != NULL) {
            char answer[200];
            int size = snprintf(answer, sizeof answer, "RECEIPT\nreceipt-id:%.*s\n\n", (int)strcspn(receipt + 9, "\n"),
                                receipt + 9);
            say(sock, answer, (size_t)size);
        }
    }
    return subscribed;
}

int main(int count, char **arguments)
{
    int one = 1, subscriber = -1, all = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (count != 2)
        return 2;
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 100) < 0)
        return 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(all, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(all, &event, 1, -1), sock = event.data.fd;
        if (ready < 1)
            continue;
        if (sock == listener) {
            event.data.fd = accept(listener, NULL, NULL);
            setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            epoll_ctl(all, EPOLL_CTL_ADD, event.data.fd, &event);
            continue;
        }
        ssize_t length = read(sock, octets, sizeof octets - 1);
        if (length <= 0) {
            close(sock);
            continue;
        }
        if (memcmp(octets, "SEND", 4) == 0) {
            if (write(subscriber, octets, (size_t)length) < 0)
                return 1;
            continue;
        }
        octets[length] = 0;
        if (converse(sock, octets, (size_t)length))
            subscriber = sock;
    }
}
