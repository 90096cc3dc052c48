package org.tfyolo.demo

import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.media.Image
import android.os.Handler
import android.os.Looper
import kotlin.math.abs
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.robolectric.shadows.StreamConfigurationMapBuilder
import org.tfyolo.demo.camera.CameraInfo
import org.tfyolo.demo.camera.CameraGeometry
import org.tfyolo.demo.camera.CameraProblem
import org.tfyolo.demo.camera.CameraSource
import org.tfyolo.demo.camera.Extent

@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class CameraTest {
    private val problems = ArrayList<CameraProblem>()
    private val opened = ArrayList<CameraInfo>()
    private val listener = object : CameraSource.Listener {
        override fun onCameraOpen(facts: CameraInfo) {
            opened += facts
        }

        override fun onFrame(image: Image) = image.close()

        override fun onCameraProblem(problem: CameraProblem) {
            problems += problem
        }
    }
    private val manager = app.getSystemService(CameraManager::class.java)
    private lateinit var source: CameraSource

    @BeforeTest
    fun make() {
        grantCamera()
        source = CameraSource(app, Handler(Looper.getMainLooper()), listener)
    }

    private fun add(id: String, facing: Int) {
        val about = ShadowCameraCharacteristics.newCameraCharacteristics()
        val sizes = StreamConfigurationMapBuilder.newBuilder()
            .addOutputSize(android.util.Size(1280, 720))
            .addOutputSize(android.graphics.ImageFormat.YUV_420_888, android.util.Size(1280, 720))
            .build()
        shadowOf(about).set(CameraCharacteristics.LENS_FACING, facing)
        shadowOf(about).set(CameraCharacteristics.SENSOR_ORIENTATION, 90)
        shadowOf(about).set(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP, sizes)
        shadowOf(manager).addCamera(id, about)
    }

    private fun idle() = shadowOf(Looper.getMainLooper()).idle()

    @Test
    fun `no camera at all`() {
        source.start(SurfaceTexture(0), front = false)
        assertEquals(listOf(CameraProblem.NONE), problems)
        assertFalse(source.running)
        assertFalse(source.canSwitch())
    }

    @Test
    fun `another app takes the camera, and it is opened again`() {
        add("0", CameraCharacteristics.LENS_FACING_BACK)
        add("1", CameraCharacteristics.LENS_FACING_FRONT)
        assertTrue(source.canSwitch())
        source.start(SurfaceTexture(0), front = false)
        idle()
        assertTrue(source.running)
        shadowOf(manager).triggerDisconnect()
        idle()
        assertEquals(listOf(CameraProblem.IN_USE), problems)
        assertFalse(source.running)
        source.start(SurfaceTexture(0), front = true)
        idle()
        assertTrue(source.running)
        source.stop()
        assertFalse(source.running)
    }

    @Test
    fun `rotation for every orientation of sensor and display`() {
        // Sensor, display, and the expected rotations of back and front camera, by Android's documentation of SENSOR_ORIENTATION.
        val table = listOf(
            listOf(90, 0, 90, 90), listOf(90, 90, 0, 180), listOf(90, 180, 270, 270), listOf(90, 270, 180, 0),
            listOf(270, 0, 270, 270), listOf(270, 90, 180, 0), listOf(270, 180, 90, 90), listOf(270, 270, 0, 180),
            listOf(0, 0, 0, 0), listOf(0, 90, 270, 90), listOf(180, 90, 90, 270), listOf(180, 180, 0, 0),
        )
        for ((sensor, display, back, front) in table) {
            assertEquals(back, CameraGeometry.rotation(sensor, display, front = false), "back $sensor $display")
            assertEquals(front, CameraGeometry.rotation(sensor, display, front = true), "front $sensor $display")
        }
    }

    @Test
    fun sizes() {
        val all = listOf(Extent(4000, 3000), Extent(1920, 1080), Extent(1280, 720), Extent(960, 960), Extent(640, 480))
        assertEquals(Extent(1280, 720), CameraGeometry.size(all, all))
        assertEquals(Extent(960, 960), CameraGeometry.size(all - Extent(1280, 720), all))
        assertEquals(Extent(1920, 1080), CameraGeometry.size(all, all.take(2)))
        assertEquals(Extent(640, 480), CameraGeometry.size(emptyList(), listOf(Extent(640, 480))))
        assertNull(CameraGeometry.size(all, emptyList()))
    }

    @Test
    fun `the preview fills the view with its aspect ratio kept, in every orientation`() {
        val buffer = Extent(1280, 720)
        for (view in listOf(Extent(1080, 2000), Extent(2000, 1080), Extent(700, 700))) {
            for (sensor in listOf(90, 270)) {
                for (display in listOf(0, 90, 180, 270)) {
                    val matrix = CameraGeometry.previewMatrix(view, buffer, sensor, display)
                    // Without the transform, the corners of the view show the corners of the image.
                    val points = floatArrayOf(0f, 0f, view.width.toFloat(), 0f, 0f, view.height.toFloat())
                    matrix.mapPoints(points)
                    val along = maxOf(abs(points[2] - points[0]), abs(points[3] - points[1]))
                    val down = maxOf(abs(points[4] - points[0]), abs(points[5] - points[1]))
                    // In natural orientation the image of such a sensor is 720 pixels wide and 1280 high.
                    assertEquals(720f / 1280, along / down, 1e-3f, "$view $sensor $display")
                    val (wide, high) = if (display % 180 == 0) along to down else down to along
                    assertTrue(wide > view.width - 1 && high > view.height - 1, "$view $sensor $display: $wide x $high")
                    assertTrue(wide < view.width + 1 || high < view.height + 1, "$view $sensor $display: $wide x $high")
                }
            }
        }
    }
}
