package org.tfyolo.detector

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * A table of a FlatBuffer, read in place.
 *
 * A damaged offset points outside of the buffer, which throws [IndexOutOfBoundsException], or to another place inside it.
 * Reading always terminates, because no loop follows offsets.
 *
 * Source: FlatBuffers' "Internals", https://flatbuffers.dev/internals
 */
internal class Table private constructor(private val buffer: ByteBuffer, private val start: Int) {
    /** Position of a field in the buffer; 0 if the field is absent and has its default value. */
    private fun field(index: Int): Int {
        val vtable = start - buffer.getInt(start)
        val entry = 4 + 2 * index
        if (entry + 2 > buffer.getShort(vtable).toInt() and 0xffff) return 0
        val offset = buffer.getShort(vtable + entry).toInt() and 0xffff
        return if (offset == 0) 0 else start + offset
    }

    private fun follow(at: Int) = at + buffer.getInt(at)

    fun int(index: Int): Int = field(index).let { if (it == 0) 0 else buffer.getInt(it) }

    fun long(index: Int): Long = field(index).let { if (it == 0) 0 else buffer.getLong(it) }

    fun byte(index: Int): Int = field(index).let { if (it == 0) 0 else buffer.get(it).toInt() }

    fun float(index: Int): Float = field(index).let { if (it == 0) 0f else buffer.getFloat(it) }

    fun table(index: Int): Table? = field(index).let { if (it == 0) null else Table(buffer, follow(it)) }

    fun string(index: Int): String? = bytes(index)?.let { Charsets.UTF_8.decode(it).toString() }

    /** A vector of bytes, as a view of the buffer; null if the field is absent. */
    fun bytes(index: Int): ByteBuffer? {
        val at = field(index)
        return if (at == 0) null else slice(buffer, follow(at) + 4, buffer.getInt(follow(at)))
    }

    fun tables(index: Int): List<Table> = vector(index) { Table(buffer, follow(it)) }

    fun floats(index: Int): List<Float> = vector(index) { buffer.getFloat(it) }

    private fun <T> vector(index: Int, element: (Int) -> T): List<T> {
        val at = field(index)
        if (at == 0) return emptyList()
        val first = follow(at) + 4
        val size = buffer.getInt(first - 4)
        // Checked before a list of this size is allocated.
        if (size < 0 || size > (buffer.limit() - first) / 4) throw IndexOutOfBoundsException("$size elements at $first")
        return List(size) { element(first + 4 * it) }
    }

    companion object {
        /** The root table of a buffer; null if the buffer has another file identifier. */
        fun root(buffer: ByteBuffer, identifier: String): Table? {
            val little = buffer.duplicate().order(ByteOrder.LITTLE_ENDIAN)
            if (little.limit() < 8 || (0 until 4).any { little.get(4 + it).toInt().toChar() != identifier[it] }) return null
            return Table(little, little.getInt(0))
        }
    }
}
