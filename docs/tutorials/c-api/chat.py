"""A conversation with a model from Python, with ctypes and nothing else:

    LINNET_LIBRARY=/usr/local/lib/liblinnet.so python3 chat.py MODEL.gguf "My name is Anna." "What is my name?"
"""
import ctypes
import ctypes.util
import json
import os
import sys
from ctypes import POINTER, byref, c_char, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p

OnText = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)


class Error(ctypes.Structure):
    _fields_ = [("name", c_char * 64), ("message", c_char * 960)]


class Request(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("input", c_char_p), ("input_bytes", c_size_t), ("tokens", POINTER(c_int32)),
                ("token_count", c_size_t), ("raw", c_int32), ("config", c_char_p), ("config_bytes", c_size_t),
                ("on_text", OnText), ("context", c_void_p)]


class Completion(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("text", c_void_p), ("text_bytes", c_size_t), ("tokens", POINTER(c_int32)),
                ("token_count", c_size_t), ("prompt_tokens", c_int64), ("cached_tokens", c_int64),
                ("discarded_tokens", c_int64), ("finish_reason", c_char_p), ("json", c_void_p),
                ("json_bytes", c_size_t), ("memory", c_void_p)]


class LinnetError(Exception):
    def __init__(self, code, error):
        super().__init__(error.message.decode())
        self.code, self.name = code, error.name.decode()


class Linnet:
    """One runtime. Without argument types ctypes passes Python's integers as C ints, which is wrong for sizes."""

    def __init__(self, library, **config):
        self.linnet = ctypes.CDLL(library)
        text, number = [c_char_p, c_size_t], c_uint32
        for name, types in {
            "runtime_create": text + [c_void_p, c_void_p, POINTER(number)],
            "runtime_destroy": [number],
            "model_load": [number] + text + text + [POINTER(number)],
            "session_open": [number, number] + text + text + [POINTER(number)],
            "session_close": [number, number],
            "generate": [number, number, POINTER(Request), POINTER(Completion)],
            "status": [number, c_int32, c_char_p, c_size_t, POINTER(c_size_t)],
        }.items():
            getattr(self.linnet, "linnet_" + name).argtypes = types + [POINTER(Error)]
        self.linnet.linnet_completion_free.argtypes = [POINTER(Completion)]
        self.linnet.linnet_completion_free.restype = None
        self.runtime = c_uint32()
        self.call("runtime_create", *self.text(config), None, None, byref(self.runtime))

    @staticmethod
    def text(value):
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        return data, len(data)

    def call(self, name, *arguments):
        error = Error()
        code = getattr(self.linnet, "linnet_" + name)(*arguments, byref(error))
        if code != 0:
            raise LinnetError(code, error)

    def load(self, path, **config):
        model = c_uint32()
        self.call("model_load", self.runtime, *self.text(path), *self.text(config), byref(model))
        return model

    def session(self, model, **config):
        session = c_uint32()
        self.call("session_open", self.runtime, model, None, 0, *self.text(config), byref(session))
        return session

    def generate(self, session, message, on_text=None, **config):
        """The answer as a dictionary; on_text gets pieces of it, and cancels by returning True."""
        def piece(_, text, size):
            return 1 if on_text and on_text(ctypes.string_at(text, size).decode()) else 0

        request, completion = Request(ctypes.sizeof(Request)), Completion(ctypes.sizeof(Completion))
        request.input, request.input_bytes = self.text(message)
        request.config, request.config_bytes = self.text(config)
        request.on_text = OnText(piece)  # kept alive by the request, which lives until the call is over
        self.call("generate", self.runtime, session, byref(request), byref(completion))
        try:
            return json.loads(ctypes.string_at(completion.json, completion.json_bytes))
        finally:
            self.linnet.linnet_completion_free(byref(completion))

    def status(self, topic=5):
        needed = c_size_t()
        self.call("status", self.runtime, topic, None, 0, byref(needed))
        room = ctypes.create_string_buffer(needed.value + 256)
        self.call("status", self.runtime, topic, room, len(room), byref(needed))
        return json.loads(room.value)

    def close(self):
        self.call("runtime_destroy", self.runtime)


def main():
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} MODEL.gguf MESSAGE...")
    library = os.environ.get("LINNET_LIBRARY") or ctypes.util.find_library("linnet")
    if not library:
        sys.exit("liblinnet.so is not installed: name it in LINNET_LIBRARY")
    linnet = Linnet(library, log_level="warn")
    try:
        model = linnet.load(sys.argv[1], ctx_size=1024)
        session = linnet.session(model, temp=0)
        for message in sys.argv[2:]:
            print(">", message)
            answer = linnet.generate(session, message, lambda text: print(text, end="", flush=True), max_tokens=60)
            print(f"\n[{answer['finish_reason']}, {answer['completion_tokens']} tokens]")
        print(linnet.status()["performance"]["requests"], "requests")
    except LinnetError as error:
        sys.exit(f"{error} ({error.name})")
    finally:
        linnet.close()


if __name__ == "__main__":
    main()
