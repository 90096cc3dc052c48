package org.tfyolo.detector

import java.io.ByteArrayOutputStream
import java.io.File
import java.nio.ByteBuffer
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream
import javax.imageio.ImageIO
import kotlin.math.abs
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.json.JSONArray
import org.json.JSONObject
import org.tensorflow.lite.DataType

/** A folder of test data, given as a system property by the build. */
private fun folder(property: String): File =
    File(System.getProperty(property) ?: error("the system property `$property` names a folder of test data")).also {
        check(it.isDirectory) { "$it is missing: `make test-android` creates it" }
    }

/** Models and images written by tests/demo_models.py, and the detections that Python computed. */
internal val demoModels: File by lazy { folder("demo.models") }

internal fun modelBytes(name: String): ByteBuffer = direct(File(demoModels, name).readBytes())

/** The model with another tfyolo.json and no other files. */
internal fun withContract(name: String, contract: String): ByteBuffer = withFiles(name, mapOf("tfyolo.json" to contract))

/** The model with other associated files: readers use the last archive. */
internal fun withFiles(name: String, files: Map<String, String>): ByteBuffer {
    val archive = ByteArrayOutputStream()
    ZipOutputStream(archive).use { zip ->
        for ((file, content) in files) {
            zip.putNextEntry(ZipEntry(file))
            zip.write(content.toByteArray())
        }
    }
    return direct(File(demoModels, name).readBytes() + archive.toByteArray())
}

internal fun direct(bytes: ByteArray): ByteBuffer = directBuffer(bytes.size).apply { put(bytes).rewind() }

/** A float32 output of a model. */
internal fun values(name: String, shape: List<Int>, values: FloatArray): Output {
    val buffer = directBuffer(4 * values.size)
    buffer.asFloatBuffer().put(values)
    return Output(name, shape, DataType.FLOAT32, buffer, 0f, 0)
}

/** Test cases of a file in tests/vectors. */
internal fun vectors(name: String): List<JSONObject> =
    JSONArray(File(folder("vectors"), "$name.json").readText()).objects()

internal fun JSONArray.objects(): List<JSONObject> = List(length()) { getJSONObject(it) }

internal fun JSONArray.ints(): IntArray = IntArray(length()) { getInt(it) }

internal fun JSONObject.ints(name: String): IntArray = getJSONArray(name).ints()

/** The numbers of an array, flattened if it contains arrays. */
internal fun JSONArray.floats(): FloatArray =
    (0 until length()).flatMap { i -> (get(i) as? JSONArray)?.floats()?.toList() ?: listOf(getDouble(i).toFloat()) }.toFloatArray()

internal fun JSONObject.floats(name: String): FloatArray = getJSONArray(name).floats()

/** Absolute tolerance 1e-4 for values up to 100, relative tolerance 1e-6 above, because Python computes in float32. */
internal fun assertNear(expected: FloatArray, actual: FloatArray, description: String) {
    assertEquals(expected.size, actual.size, description)
    for (i in expected.indices) {
        val tolerance = 1e-4f * maxOf(1f, abs(expected[i]) / 100)
        assertTrue(abs(expected[i] - actual[i]) <= tolerance, "$description, value $i: expected ${expected[i]}, got ${actual[i]}")
    }
}

internal fun thresholds(options: JSONObject): Thresholds = Thresholds(
    options.getDouble("confidence").toFloat(),
    options.getDouble("iou").toFloat(),
    options.getInt("max_detections"),
    options.optJSONArray("classes")?.ints()?.toSet(),
)

/** An image whose pixels are in an array. */
internal class PixelSource(override val width: Int, override val height: Int, private val rgb: IntArray) : Source {
    override fun line(index: Int, transposed: Boolean, at: IntArray, count: Int, rgb: IntArray) {
        for (i in 0 until count) rgb[i] = this.rgb[if (transposed) at[i] * width + index else index * width + at[i]]
    }

    companion object {
        /** Create an image from values R, G, B, R, G, B, ... */
        fun of(width: Int, height: Int, values: IntArray): PixelSource =
            // The upper byte, which is alpha in bitmaps, must be ignored.
            PixelSource(width, height, IntArray(width * height) { (0xab shl 24) or (values[3 * it] shl 16) or (values[3 * it + 1] shl 8) or values[3 * it + 2] })

        fun of(image: File): PixelSource = ImageIO.read(image).run {
            PixelSource(width, height, getRGB(0, 0, width, height, null, 0, width))
        }
    }
}

internal val CAMERA_BYTES: PixelEncoding = PixelEncoding.quantized(Normalization(0f, 255f), 1 / 255f, 0, 0)

internal fun ByteBuffer.unsigned(): IntArray = IntArray(limit()) { get(it).toInt() and 255 }

/** A store whose content tests can inspect. */
internal class InMemoryStore(val values: HashMap<String, String> = HashMap()) : KeyValueStore {
    override fun get(key: String): String? = values[key]

    override fun put(key: String, value: String?) {
        if (value == null) values.remove(key) else values[key] = value
    }
}

internal fun testFile(model: ByteBuffer, store: KeyValueStore = InMemoryStore()): ModelFile = ModelFile(model, store, "test")

/** A detector with one CPU thread, so that results are reproducible. */
internal fun detector(model: ByteBuffer, options: Options = Options(threads = 1, delegate = Delegate.CPU)): Detector =
    Detector(testFile(model), options)

/** A classifier with one CPU thread. */
internal fun classifier(model: ByteBuffer, options: Options = Options(threads = 1, delegate = Delegate.CPU)): Classifier =
    Classifier(testFile(model), options)

/** The pixels of an upright image. */
internal fun Upright.pixels(): PixelSource {
    val columns = IntArray(width) { column(it) }
    val row = IntArray(width)
    val all = IntArray(width * height)
    for (y in 0 until height) {
        row(y, columns, width, row)
        row.copyInto(all, y * width)
    }
    return PixelSource(width, height, all)
}
