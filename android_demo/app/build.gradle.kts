import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.tfyolo.demo"
    compileSdk = libs.versions.targetSdk.get().toInt()
    defaultConfig {
        applicationId = "org.tfyolo.demo"
        minSdk = libs.versions.minSdk.get().toInt()
        targetSdk = libs.versions.targetSdk.get().toInt()
        versionCode = libs.versions.versionCode.get().toInt()
        versionName = libs.versions.versionName.get()
        ndk { abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64") }
    }
    buildTypes {
        release {
            isMinifyEnabled = true
            isShrinkResources = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"), "proguard-rules.pro")
            // So that the release build can be installed; sign with your own key to publish the app.
            signingConfig = signingConfigs.getByName("debug")
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
    }
    // Uncompressed, so that models can be memory-mapped.
    androidResources { noCompress += "tflite" }
    // Compressed, which makes the APK 3 MB smaller.
    packaging { jniLibs { useLegacyPackaging = true } }
    lint {
        checkDependencies = true
        // Versions are updated manually, in both builds at the same time.
        disable += listOf("AndroidGradlePluginVersion", "GradleDependency", "NewerVersionAvailable", "OldTargetApi")
    }
    testOptions.unitTests {
        isIncludeAndroidResources = true
        // These tests load TensorFlow Lite's native library, which is only available on Android and in `make test-android`.
        all { it.enabled = false }
    }
}

kotlin {
    compilerOptions.jvmTarget = JvmTarget.fromTarget(libs.versions.jvmTarget.get())
}

dependencies {
    implementation(project(":detector"))
    testImplementation(libs.junit)
    testImplementation(libs.kotlin.test)
    testImplementation(libs.robolectric)
}

val checkModels by tasks.registering {
    val models = layout.projectDirectory.dir("src/main/assets/models").asFile
    doLast {
        if (models.listFiles { file -> file.extension == "tflite" }.isNullOrEmpty()) {
            throw GradleException("$models contains no model: run `make android-assets`, or copy a model from `tfyolo export --include tflite` there")
        }
    }
}

tasks.named("preBuild") { dependsOn(checkModels) }
