package org.tfyolo.detector

import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder

/*
 * ByteBuffer's own `position`, `limit` and `rewind` came with Android 9; compiled against them, an app stops on older ones.
 * Here they are Buffer's, which were always there.
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

/** Memory that native code reads and writes as it is. */
internal fun directBuffer(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())

/** A part of a buffer, from 0. */
internal fun slice(buffer: ByteBuffer, start: Int, size: Int): ByteBuffer {
    if (start < 0 || size < 0 || start > buffer.limit() - size) throw IndexOutOfBoundsException("$size bytes at $start")
    val part = buffer.duplicate()
    seek(part, start)
    end(part, start + size)
    return part.slice().order(ByteOrder.LITTLE_ENDIAN)
}
