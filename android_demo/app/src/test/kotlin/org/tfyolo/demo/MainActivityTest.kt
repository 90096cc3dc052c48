package org.tfyolo.demo

import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.media.ExifInterface
import android.net.Uri
import android.os.Looper
import android.view.View
import android.widget.Button
import android.widget.EditText
import android.widget.SeekBar
import android.widget.Spinner
import android.widget.TextView
import java.io.File
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNotSame
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlin.test.assertTrue
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadows.ShadowAlertDialog
import org.tfyolo.demo.camera.CameraPermission
import org.tfyolo.demo.camera.CameraProblem
import org.tfyolo.detector.Thresholds

/** Operates the app as a user would, with the real detector. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(qualifiers = "w411dp-h891dp-port-xhdpi")
class MainActivityTest {
    @BeforeTest
    fun engine() = useSingleThread()

    private fun dialogMessage(): String {
        await("a dialog") { ShadowAlertDialog.getLatestAlertDialog()?.isShowing == true }
        return ShadowAlertDialog.getLatestAlertDialog().findViewById<TextView>(android.R.id.message).text.toString()
    }

    @Test
    fun `a sample with boxes is shown while the camera permission is requested`() = start().use { controller ->
        val activity = controller.get()
        val found = activity.awaitDetections()
        assertEquals(640 to 480, found.sourceWidth to found.sourceHeight)
        assertEquals(setOf("RBC", "WBC", "Platelets"), found.map { it.label }.toSet())
        assertEquals(listOf("android.permission.CAMERA"), shadowOf(activity).lastRequestedPermission.requestedPermissions.toList())
        // The number of detections depends slightly on the CPU on which the model was calibrated.
        val counts = found.groupingBy { it.label }.eachCount()
        assertTrue(activity.text(R.id.summary).startsWith("${found.size} objects: "))
        assertEquals(counts.map { (label, count) -> "$count $label" }.toSet(), activity.text(R.id.summary).substringAfter(": ").split(", ").toSet())
        assertTrue(found.size in 8..11, "$found")
        assertEquals(activity.text(R.id.summary), activity.overlay.contentDescription)
        assertTrue(Regex("Preprocess .* ms · inference .* ms · postprocess .* ms").matches(activity.text(R.id.timings)))
        assertEquals("Runs on: CPU, 1 thread", activity.text(R.id.backend))
    }

    @Test
    fun `after denying once, the permission can be requested again`() = start().use { controller ->
        val activity = controller.get()
        shadowOf(app.packageManager).setShouldShowRequestPermissionRationale("android.permission.CAMERA", true)
        activity.onRequestPermissionsResult(CameraPermission.REQUEST, arrayOf("android.permission.CAMERA"), intArrayOf(-1))
        assertTrue(activity.isShown(R.id.message))
        assertEquals("Allow", activity.text(R.id.message_action))
        shadowOf(activity).lastRequestedPermission.let { before ->
            activity.findViewById<Button>(R.id.message_action).performClick()
            assertNotSame(before, shadowOf(activity).lastRequestedPermission)
        }
        assertTrue(activity.awaitDetections().isNotEmpty())
    }

    @Test
    fun `after denying permanently, the app's settings open`() = start().use { controller ->
        val activity = controller.get()
        activity.onRequestPermissionsResult(CameraPermission.REQUEST, arrayOf("android.permission.CAMERA"), intArrayOf(-1))
        assertEquals("Open settings", activity.text(R.id.message_action))
        activity.findViewById<Button>(R.id.message_action).performClick()
        val intent = activity.started()
        assertEquals("android.settings.APPLICATION_DETAILS_SETTINGS" to "package:org.tfyolo.demo", intent.action to intent.dataString)
    }

    @Test
    fun `a recreated activity shows the same image without loading the model again`() = start().use { controller ->
        val first = controller.get()
        first.awaitDetections()
        first.findViewById<View>(R.id.samples).performClick()
        val second = first.awaitDetections(first.overlay.detections)
        first.findViewById<View>(R.id.toggle).performClick()
        val host = first.host
        controller.recreate()
        val again = controller.get()
        assertNotSame(first, again)
        assertSame(host, again.host)
        assertEquals(second.toList(), again.awaitDetections().toList())
        assertEquals(1, host.loadCount)
        assertTrue(again.isShown(R.id.sheet_body))
    }

    @Test
    fun `in landscape orientation the controls are next to the image`() = start().use { controller ->
        controller.get().awaitDetections()
        org.robolectric.RuntimeEnvironment.setQualifiers("w891dp-h411dp-land-xhdpi")
        controller.recreate()
        val activity = controller.get()
        assertNull(activity.findViewById(R.id.sheet))
        assertTrue(activity.awaitDetections().isNotEmpty())
        assertEquals(1, activity.host.loadCount)
    }

    @Test
    fun `thresholds and classes take effect immediately`() = start().use { controller ->
        val activity = controller.get()
        val all = activity.awaitDetections()
        activity.findViewById<SeekBar>(R.id.confidence).progress = 70
        val strict = activity.awaitDetections(all)
        assertEquals(all.filter { it.score > 0.7f }, strict.toList())
        activity.findViewById<Button>(R.id.classes).performClick()
        val dialog = assertNotNull(ShadowAlertDialog.getLatestAlertDialog())
        await("the list") { dialog.listView.childCount == 3 }
        listOf(0, 1).forEach { dialog.listView.performItemClick(dialog.listView.getChildAt(it), it, it.toLong()) }
        dialog.getButton(android.content.DialogInterface.BUTTON_POSITIVE).performClick()
        val white = activity.awaitDetections(strict)
        assertEquals(listOf("WBC"), white.map { it.label })
        assertEquals("WBC", activity.text(R.id.classes))
        assertEquals(Thresholds(0.7f, 0.45f, 300, setOf(2)), activity.host.thresholds)
    }

    @Test
    fun `the selected model and number of threads are loaded and remembered`() {
        start().use { controller ->
            val activity = controller.get()
            val before = activity.awaitDetections()
            activity.findViewById<Spinner>(R.id.model).setSelection(1)
            await("the float model") { activity.host.loaded?.description?.precision == "float16" }
            val after = activity.awaitDetections(before)
            assertTrue(after.isNotEmpty())
            activity.findViewById<Spinner>(R.id.threads).setSelection(2)
            await("two threads") { activity.host.loaded?.backend?.threads == 2 }
        }
        start().use { controller ->
            await("the model") { controller.get().host.loaded != null }
            assertEquals("float16" to 2, controller.get().host.loaded!!.run { description.precision to backend.threads })
        }
    }

    @Test
    fun `a model file is copied, used, and can be removed`() = start().use { controller ->
        val activity = controller.get()
        val before = activity.awaitDetections()
        val spinner = activity.findViewById<Spinner>(R.id.model)
        spinner.setSelection(spinner.adapter.count - 1)
        await("a picker") { shadowOf(activity).peekNextStartedActivity()?.action == Intent.ACTION_OPEN_DOCUMENT }
        activity.answer(activity.started(), register("../my model.tflite", demoModel("float32-none.tflite").readBytes()))
        await("the model") { activity.host.loaded?.description?.precision == "float32" }
        assertTrue(activity.awaitDetections(before).isNotEmpty())
        assertEquals(listOf("my model.tflite"), File(app.filesDir, "models").list()!!.toList())
        assertEquals("my model", spinner.selectedItem)
        assertTrue(activity.isShown(R.id.remove_model))
        activity.findViewById<Button>(R.id.remove_model).performClick()
        await("the bundled model") { activity.host.loaded?.description?.precision == "int8" }
        assertEquals(0, File(app.filesDir, "models").list()!!.size)
    }

    @Test
    fun `an invalid model file is rejected, and the previous model stays in use`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        val loaded = activity.host.loaded
        val expected = mapOf(
            "expected.json" to "This is not a TensorFlow Lite model",
            "task.tflite" to "a classifier has one of `probabilities`, `logits`",
            "shape.tflite" to "The model's input is 320 x 320, but its tfyolo.json says 352 x 352",
            "cut.tflite" to "",
        )
        for ((name, message) in expected) {
            ShadowAlertDialog.reset()
            activity.models.onImportChosen()
            activity.answer(activity.started(), register(name, demoModel(name).readBytes()))
            assertTrue(message in dialogMessage(), "$name: ${dialogMessage()}")
            assertSame(loaded, activity.host.loaded)
            assertEquals(0, File(app.filesDir, "models").list()!!.size, name)
        }
        val before = activity.overlay.detections
        activity.findViewById<View>(R.id.samples).performClick()
        assertTrue(activity.awaitDetections(before).isNotEmpty())
    }

    @Test
    fun `a gallery image is rotated upright according to its EXIF data`() = start().use { controller ->
        val activity = controller.get()
        val before = activity.awaitDetections()
        val sample = app.assets.open("samples/BloodImage_00007.jpg").use { BitmapFactory.decodeStream(it) }
        val rotated = Bitmap.createBitmap(sample, 0, 0, sample.width, sample.height, android.graphics.Matrix().apply { setRotate(270f) }, false)
        val file = File(app.cacheDir, "rotated.jpg")
        file.outputStream().use { rotated.compress(Bitmap.CompressFormat.JPEG, 95, it) }
        ExifInterface(file.path).apply {
            setAttribute(ExifInterface.TAG_ORIENTATION, "${ExifInterface.ORIENTATION_ROTATE_90}")
            saveAttributes()
        }
        activity.findViewById<View>(R.id.gallery).performClick()
        val asked = activity.started()
        assertEquals("image/*", asked.type)
        activity.answer(asked, register("rotated", file.readBytes()))
        val found = activity.awaitDetections(before)
        assertEquals(640 to 480, found.sourceWidth to found.sourceHeight)
        assertTrue(found.any { it.label == "WBC" })
    }

    @Test
    fun `a message is shown for files that are not images`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        for ((name, bytes) in mapOf("broken" to ByteArray(999) { it.toByte() }, "empty" to ByteArray(0))) {
            activity.findViewById<View>(R.id.gallery).performClick()
            activity.answer(activity.started(), register(name, bytes))
            await("a message") { activity.isShown(R.id.message) }
            assertEquals("This image cannot be read.", activity.text(R.id.message_text))
            activity.findViewById<View>(R.id.samples).performClick()
            await("a sample") { !activity.isShown(R.id.message) }
        }
    }

    @Test
    fun `the image is shared with its boxes`() = start().use { controller ->
        val activity = controller.get()
        val found = activity.awaitDetections()
        activity.findViewById<View>(R.id.share).performClick()
        val chooser = activity.started()
        @Suppress("DEPRECATION")
        val send: Intent = assertNotNull(chooser.getParcelableExtra(Intent.EXTRA_INTENT))
        @Suppress("DEPRECATION")
        val uri: Uri = assertNotNull(send.getParcelableExtra(Intent.EXTRA_STREAM))
        assertEquals("image/jpeg", send.type)
        assertTrue(send.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION != 0)
        val shared = File(app.cacheDir, "shared").listFiles()!!.single()
        assertEquals(shared.name, uri.lastPathSegment)
        val image = BitmapFactory.decodeFile(shared.path)
        assertEquals(found.sourceWidth to found.sourceHeight, image.width to image.height)
        val plain = app.assets.open("samples/BloodImage_00007.jpg").use { BitmapFactory.decodeStream(it) }
        val box = found.first { it.label == "WBC" }.box
        val (x, y) = box.left.toInt() to ((box.top + box.bottom) / 2).toInt()
        assertTrue(image.getPixel(x, y) != plain.getPixel(x, y))
    }

    @Test
    fun `memory is freed in the background and allocated again`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        controller.pause().stop()
        activity.onTrimMemory(android.content.ComponentCallbacks2.TRIM_MEMORY_BACKGROUND)
        assertNull(activity.host.loaded)
        assertNull(activity.overlay.detections)
        controller.start().resume()
        assertTrue(activity.awaitDetections().isNotEmpty())
        assertEquals(2, activity.host.loadCount)
    }

    @Test
    fun `camera problems show a message with a retry button`() {
        grantCamera()
        start().use { controller ->
            val activity = controller.get()
            for (problem in listOf(CameraProblem.IN_USE, CameraProblem.DISABLED, CameraProblem.FAILED)) {
                activity.camera.onCameraProblem(problem)
                assertTrue(activity.isShown(R.id.message))
                assertEquals("Try again", activity.text(R.id.message_action))
            }
            activity.camera.onCameraProblem(CameraProblem.NONE)
            assertTrue(activity.awaitDetections().isNotEmpty(), "samples are shown if there is no camera")
            assertFalse(activity.isShown(R.id.message_action))
        }
    }

    @Test
    fun `all controls have a name and are large enough to touch`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        activity.findViewById<View>(R.id.toggle).performClick()
        activity.screenshot("phone-day-open", 822, 1782)
        val controls = activity.window.decorView.all().filter { (it.isClickable || it is SeekBar) && it !is EditText && it.isShown }.toList()
        assertTrue(controls.size >= 10, "$controls")
        for (view in controls) {
            val name = view.contentDescription ?: (view as? TextView)?.text
            assertFalse(name.isNullOrBlank(), "$view")
            assertTrue(view.height >= 48 * 2 && view.width >= 48 * 2, "$view is ${view.width} x ${view.height}")
        }
    }

    @Test
    fun `the about dialog shows licenses`() = start().use { controller ->
        controller.get().awaitDetections()
        controller.get().models.onAboutChosen()
        assertTrue("TensorFlow Lite, Apache License 2.0" in dialogMessage())
        shadowOf(Looper.getMainLooper()).idle()
    }
}
