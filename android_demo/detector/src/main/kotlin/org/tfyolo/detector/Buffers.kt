package org.tfyolo.detector

import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder

/*
 * ByteBuffer overrides `position`, `limit` and `rewind` only since Android 9: code compiled against these overrides crashes on
 * older versions. The functions below call the methods of Buffer, which exist in all versions.
 */

internal fun seek(buffer: Buffer, position: Int) {
    buffer.position(position)
}

internal fun rewind(buffer: Buffer) {
    buffer.rewind()
}

private fun end(buffer: Buffer, limit: Int) {
    buffer.limit(limit)
}

/** A direct buffer in native byte order, which native code can access without a copy. */
internal fun directBuffer(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())

/** A little-endian view of `size` bytes from `start`, whose own positions start at 0. */
internal fun slice(buffer: ByteBuffer, start: Int, size: Int): ByteBuffer {
    if (start < 0 || size < 0 || start > buffer.limit() - size) throw IndexOutOfBoundsException("$size bytes at $start")
    val part = buffer.duplicate()
    seek(part, start)
    end(part, start + size)
    return part.slice().order(ByteOrder.LITTLE_ENDIAN)
}
