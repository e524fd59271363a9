// A chat relay as one writes it with Socket.IO: what one member of a room says goes to each of them.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const server = new Server(http, { transports: ["websocket"], serveClient: false });

server.on("connection", (socket) => {
  const room = socket.handshake.query.room;
  socket.join(room);
  socket.emit("joined");
  socket.on("message", (text) => server.to(room).emit("message", text));
});

http.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
