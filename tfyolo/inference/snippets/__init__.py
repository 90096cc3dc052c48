"""Complete clients of exported files, in four languages, without tfyolo: `tfyolo inspect FILE --snippet`."""
